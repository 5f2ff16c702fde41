/// placeholder
pub(in super::super) struct Genuine;
/// placeholder
pub(in super::super) struct Stamps;
