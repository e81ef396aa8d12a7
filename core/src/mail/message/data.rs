//! The data of an attachment, by whole lines and by as many groups as fit into a line.

use base64ct::{Base64, Encoding as _};

use super::composer::{BASE64_LINE, BASE64_OCTETS, Composer, Item};
use super::sink::Sink;

/// A line of base64 after the end of the one before it.
const LINE: usize = BASE64_LINE as usize + 2;

impl Composer<'_> {
    /// Encodes the groups at the front of `input` that have room in the output, and ends the lines before
    /// them. The rest is for the loop that goes by single groups.
    pub(super) fn put_groups(&mut self, input: &mut &[u8], out: &mut Sink<'_>) {
        if !matches!(self.place.item, Item::Data | Item::Asked) || self.filled > 0 || self.taken > 0
        {
            return;
        }
        loop {
            if self.place.column >= BASE64_LINE {
                put_lines(input, out);
            }
            let (end, column) = match self.place.column {
                BASE64_LINE.. => (&b"\r\n"[..], 0),
                column => (&b""[..], column),
            };
            let room = usize::from(BASE64_LINE.saturating_sub(column));
            let groups = room.min(out.room().saturating_sub(end.len())) / 4;
            let groups = groups.min(input.len() / 3);
            if groups == 0 {
                return;
            }
            let Some((octets, rest)) = input.split_at_checked(groups.saturating_mul(3)) else {
                return;
            };
            let characters = groups.saturating_mul(4);
            out.put(end);
            let Some(place) = out.take(characters) else { return };
            // The place has exactly the length of the characters.
            let _ = Base64::encode(octets, place);
            *input = rest;
            self.place.column = column.saturating_add(u8::try_from(characters).unwrap_or(u8::MAX));
        }
    }
}

/// Encodes the whole lines at the front of `input` that have room in the output, each after the end of the
/// line before it.
fn put_lines(input: &mut &[u8], out: &mut Sink<'_>) {
    let lines = (input.len() / BASE64_OCTETS).min(out.room() / LINE);
    let Some((octets, rest)) = input.split_at_checked(lines.saturating_mul(BASE64_OCTETS)) else {
        return;
    };
    let Some(place) = out.take(lines.saturating_mul(LINE)) else { return };
    let places = place.as_chunks_mut::<LINE>().0.iter_mut();
    for (octets, [cr, lf, characters @ ..]) in octets.chunks_exact(BASE64_OCTETS).zip(places) {
        (*cr, *lf) = (b'\r', b'\n');
        let _ = Base64::encode(octets, characters);
    }
    *input = rest;
}
