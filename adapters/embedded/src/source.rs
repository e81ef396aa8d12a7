use embedded_io::Read;
use starttls::mail::source::{Files, Source, Unreadable};

/// A reader as the source of a message: the message itself, or its one file.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reader<R>(pub R);

impl<R: Read> Source for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        self.0.read(buffer).map_err(|_| Unreadable)
    }
}

impl<R: Read> Files for Reader<R> {
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        match index {
            0 => self.0.read(buffer).map_err(|_| Unreadable),
            _ => Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use starttls::mail::message::{Attachment, Mailbox};
    use starttls::mail::{Address, Message};

    use super::*;
    use crate::Composed;

    fn all(mut source: impl Source) -> Result<heapless::Vec<u8, 1024>, Unreadable> {
        let mut octets = heapless::Vec::new();
        let mut buffer = [0; 80];
        loop {
            match source.read(&mut buffer)? {
                0 => return Ok(octets),
                n => octets.extend_from_slice(&buffer[..n]).expect("room"),
            }
        }
    }

    #[test]
    fn a_reader_is_a_message_or_one_file() {
        let you = Address::new("you@example.org").expect("an address");
        let (to, file) = ([Mailbox::new(you)], [0xff; 200]);
        let files = [Attachment::new("image/jpeg", "gate.jpg").expect("a file"); 2];
        let message = Message::new(to[0], &to).with_text("a\n");
        let one = message.with_attachments(&files[..1]);
        let whole = all(Composed::with_files(&one, Reader(&file[..]))).expect("readable");
        assert_eq!(all(Reader(&whole[..])).as_deref(), Ok(&whole[..]));
        let two = message.with_attachments(&files);
        assert_eq!(all(Composed::with_files(&two, Reader(&file[..]))), Err(Unreadable));
    }
}
