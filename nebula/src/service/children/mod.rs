//! stub
/// c
#[derive(Debug, Default)]
pub struct Children;
/// s
#[derive(Debug)]
pub(crate) struct Supervised;
impl Children {
    /// n
    pub fn new() -> Self {
        Self
    }
    pub(crate) fn supervise(
        self,
        _name: &str,
        _failed: impl FnOnce(String) + Send + 'static,
    ) -> Supervised {
        Supervised
    }
}
impl Supervised {
    pub(crate) async fn stop(self) {}
}
