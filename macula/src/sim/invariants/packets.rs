use crate::limits;

/// A packet fits into a datagram, with the byte that says what it carries.
pub(in super::super) fn fits(packet: &[u8]) -> Result<(), String> {
    if packet.len() < limits::DATAGRAM {
        return Ok(());
    }
    Err(format!("a packet of {} bytes", packet.len()))
}
