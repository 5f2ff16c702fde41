//! What nodes and calls say of themselves, on clusters of several nodes. The ids in comments are
//! those of the cases that this follows.

mod introspect {
    pub(crate) mod calls;
    pub(crate) mod info;
    pub(crate) mod routes;
    pub(crate) mod site;
}
