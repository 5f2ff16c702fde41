//! Which of the nodes that serve a method a call asks first, on clusters inside this process.

#[path = "policies/cluster.rs"]
mod cluster;
#[path = "policies/order.rs"]
mod order;
#[path = "policies/trouble.rs"]
mod trouble;
