//! What must hold whatever happens, one file each.

mod converged;
mod directory;
mod packets;
mod rises;
mod views;

pub(super) use converged::views_are;
pub(super) use directory::{Genuine, Stamps};
pub(super) use packets::fits;
pub(super) use rises::{Highest, is_over, rises};
pub(super) use views::views_agree;

use super::world::Time;

/// A node has come to believe that another one is up or down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saw {
    pub(super) at: Time,
    pub(super) subject: usize,
    pub(super) up: bool,
}
