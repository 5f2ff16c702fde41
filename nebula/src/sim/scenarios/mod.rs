mod overload;
mod same;
mod sick;
mod slow;
mod spread;
mod sticky;
mod tables;
mod votes;
