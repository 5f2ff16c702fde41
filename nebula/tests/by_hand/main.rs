//! The calls of a service in one process, over the expansion that the macro would write.

mod contract;
mod store;

mod dispatch;
mod local;
mod node;
mod several;
