//! The data of an attachment, by as many groups as fit into a line.

use base64ct::{Base64, Encoding as _};

use super::composer::{BASE64_LINE, Composer, Item};
use super::sink::Sink;

impl Composer<'_> {
    /// Encodes the groups at the front of `input` that have room in the output, and ends the lines before
    /// them. The rest is for the loop that goes by single groups.
    pub(super) fn put_groups(&mut self, input: &mut &[u8], out: &mut Sink<'_>) {
        if !matches!(self.place.item, Item::Data | Item::Asked) || self.filled > 0 || self.taken > 0
        {
            return;
        }
        loop {
            let (end, column) = match self.place.column {
                BASE64_LINE.. => (&b"\r\n"[..], 0),
                column => (&b""[..], column),
            };
            let room = usize::from(BASE64_LINE.saturating_sub(column));
            let groups = room.min(out.room().saturating_sub(end.len())) / 4;
            let groups = groups.min(input.len() / 3);
            let Some((octets, rest)) = input.split_at_checked(groups.saturating_mul(3)) else {
                return;
            };
            let characters = groups.saturating_mul(4);
            let Ok(printed) = u8::try_from(characters) else { return };
            if groups == 0 {
                return;
            }
            out.put(end);
            let Some(place) = out.take(characters) else { return };
            // It has exactly the length of the place.
            let _ = Base64::encode(octets, place);
            *input = rest;
            self.place.column = column.saturating_add(printed);
        }
    }
}
