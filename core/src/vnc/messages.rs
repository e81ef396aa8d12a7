use super::VERSION;
use crate::Error;
use crate::wire::Framing;

/// The longest message of a server, in bytes.
pub const MAX_MESSAGE: usize = 256;

/// The next message. Messages carry no type, so only their order tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Round {
    #[default]
    Version,
    SecurityType,
    VeNCrypt,
    Subtype,
    Answer,
}

impl Round {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Version => Self::SecurityType,
            Self::SecurityType => Self::VeNCrypt,
            Self::VeNCrypt => Self::Subtype,
            Self::Subtype | Self::Answer => Self::Answer,
        }
    }
}

/// The messages of a server. VeNCrypt's status byte and the list of subtypes after it are one message.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FromServer(Round);

/// The messages of a client.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FromClient(Round);

/// Checks the version: `RFB` and two numbers of three digits (RFC 6143 §7.1.1).
fn version(input: &[u8]) -> Result<Option<usize>, Error> {
    let fits =
        |(byte, form): (&u8, &u8)| byte == form || (byte.is_ascii_digit() && form.is_ascii_digit());
    if input.iter().zip(VERSION).all(fits) { Ok(Some(VERSION.len())) } else { Err(Error::Syntax) }
}

fn take<'i>(
    round: &mut Round,
    input: &mut &'i [u8],
    length: Option<usize>,
) -> Result<Option<&'i [u8]>, Error> {
    if length.is_some_and(|length| length > MAX_MESSAGE) {
        return Err(Error::FrameTooLong);
    }
    let message = length.and_then(|length| input.split_off(..length));
    if message.is_some() {
        *round = round.next();
    }
    Ok(message)
}

impl Framing for FromServer {
    const MAX_FRAME: usize = MAX_MESSAGE;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        let length = match (self.0, *input) {
            (Round::Version, input) => version(input)?,
            // No types: a reason follows.
            (Round::SecurityType, [0, a, b, c, d, ..]) => {
                let reason = u32::from_be_bytes([*a, *b, *c, *d]);
                Some(usize::try_from(reason).unwrap_or(MAX_MESSAGE).saturating_add(5))
            }
            (Round::SecurityType, [0, ..]) => None,
            (Round::SecurityType, [types, ..]) => Some(usize::from(*types).saturating_add(1)),
            (Round::VeNCrypt, _) => Some(2),
            (Round::Subtype, [0, subtypes, ..]) => {
                Some(usize::from(*subtypes).saturating_mul(4).saturating_add(2))
            }
            (Round::Subtype, [0]) => None,
            (Round::Subtype | Round::Answer, [_, ..]) => Some(1),
            (_, []) => None,
        };
        take(&mut self.0, input, length)
    }
}

impl Framing for FromClient {
    const MAX_FRAME: usize = VERSION.len();

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        let length = match self.0 {
            Round::Version => version(input)?,
            Round::SecurityType => Some(1),
            Round::VeNCrypt => Some(2),
            Round::Subtype | Round::Answer => Some(4),
        };
        take(&mut self.0, input, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the messages, and the number of bytes left over.
    fn lengths<F: Framing>(
        whole: &[u8],
        piece: usize,
    ) -> Result<(heapless::Vec<usize, 8>, usize), Error> {
        let mut framing = F::default();
        let mut found = heapless::Vec::new();
        let (mut start, mut end) = (0, 0);
        while end < whole.len() {
            end = whole.len().min(end + piece);
            let mut input = &whole[start..end];
            while let Some(message) = framing.next(&mut input)? {
                found.push(message.len()).expect("few messages");
            }
            start = end - input.len();
        }
        Ok((found, whole.len() - start))
    }

    #[test]
    fn messages_of_a_server() {
        type Expected<'e> = Result<(&'e [usize], usize), Error>;
        let rows: [(&[u8], Expected<'_>); 12] = [
            (b"", Ok((&[], 0))),
            (
                b"RFB 003.008\n\x01\x13\x00\x02\x00\x01\x00\x00\x01\x04\x01",
                Ok((&[12, 2, 2, 6, 1], 0)),
            ),
            (b"RFB 003.008\n\x02\x13\x02\x00\x02\xff", Ok((&[12, 3, 2, 1], 0))),
            (b"RFB 003.008\n\x00\x00\x00\x00\x03bad", Ok((&[12, 8], 0))),
            (b"RFB 003.008\n\x00\x00\x00\x00\xfb", Ok((&[12], 5))),
            (b"RFB 003.008\n\x00\x00\x00\x00\xfc", Err(Error::FrameTooLong)),
            (b"RFB 003.008\n\x00\xff\xff\xff\xff", Err(Error::FrameTooLong)),
            (b"RFB 003.008\n\x01\x13\x00\x02\x00\x3f", Ok((&[12, 2, 2], 2))),
            (b"RFB 003.008\n\x01\x13\x00\x02\x00\x40", Err(Error::FrameTooLong)),
            (b"RFB 003.00", Ok((&[], 10))),
            (b"RFB 003,", Err(Error::Syntax)),
            (b"RFB 003.008\r", Err(Error::Syntax)),
        ];
        for (whole, expected) in rows {
            for piece in [whole.len().max(1), 1, 2, 3] {
                let expected = expected.map(|(lengths, left)| {
                    (lengths.iter().copied().collect::<heapless::Vec<_, 8>>(), left)
                });
                assert_eq!(lengths::<FromServer>(whole, piece), expected, "{whole:?} by {piece}");
            }
        }
    }

    #[test]
    fn messages_of_a_client() {
        let whole = b"RFB 003.008\n\x13\x00\x02\x00\x00\x01\x04\x16\x03\x01";
        for piece in [whole.len(), 1, 2, 3] {
            let (lengths, left) = lengths::<FromClient>(whole, piece).expect("well-formed");
            assert_eq!((&lengths[..], left), (&[12, 1, 2, 4][..], 3), "by {piece}");
        }
        assert_eq!(lengths::<FromClient>(b"GET", 3), Err(Error::Syntax));
    }
}
