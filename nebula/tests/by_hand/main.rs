//! The calls of a service in one process, over the expansion that the macro would write.

mod contract;
mod store;

mod dispatch;
mod local;
mod node;
mod several;

/// A node that meets nobody, whatever else runs on the machine.
fn alone(name: &str) -> nebula::NodeBuilder {
    nebula::Node::builder(name).cookie("of these tests").local_discovery(false)
}
