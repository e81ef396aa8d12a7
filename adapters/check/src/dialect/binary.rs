//! Numbers, packets and BER, as the binary protocols have them.

/// Four bytes in network byte order.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// The length of a packet whose first bytes should be `start`, and whose length `whole` knows once they are there.
/// Bytes that do not begin so are an answer, too, up to the first wrong one.
pub(super) fn packet_len(
    bytes: &[u8],
    start: &[u8],
    whole: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    if let Some(wrong) = bytes.iter().zip(start).position(|(byte, wanted)| byte != wanted) {
        return Some(wrong + 1);
    }
    whole(bytes).filter(|length| *length <= bytes.len())
}

/// An element of BER with a definite length.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("our elements are short");
    let [high, low] = length.to_be_bytes();
    let mut element = match length {
        0..=127 => vec![tag, low],
        128..=255 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    element.extend(content);
    element
}

/// The lengths of an element's header and content.
pub(super) fn element_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.get(1)?;
    if first < 0x80 {
        return Some((2, first.into()));
    }
    let octets = bytes.get(2..2 + usize::from(first & 0x7f))?;
    let length = octets
        .iter()
        .fold(0, |length: usize, byte| length.saturating_mul(256).saturating_add((*byte).into()));
    Some((2 + octets.len(), length))
}

/// The length of a whole element.
pub(super) fn element_len(bytes: &[u8]) -> Option<usize> {
    let (head, content) = element_head(bytes)?;
    head.checked_add(content)
}

/// The tags and contents of all elements, as far as they are whole.
pub(super) fn elements(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut elements = Vec::new();
    while let Some((head, content)) = element_head(bytes) {
        let end = head.saturating_add(content);
        let Some((element, rest)) = bytes.split_at_checked(end) else { break };
        elements.push((element[0], &element[head..]));
        bytes = rest;
    }
    elements
}
