use core::iter::{Copied, Enumerate};
use core::slice::Iter;

use nom::{Compare, CompareResult, Input, Needed, Offset};

/// Bytes as input of nom's parsers, sliced without a reachable panic.
///
/// On plain slices nom panics if a parser takes more than there is, which would bring the panic machinery
/// into firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Octets<'i>(pub(crate) &'i [u8]);

impl<'i> Input for Octets<'i> {
    type Item = u8;
    type Iter = Copied<Iter<'i, u8>>;
    type IterIndices = Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.0.len()
    }

    fn take(&self, index: usize) -> Self {
        Self(self.0.get(..index).unwrap_or(self.0))
    }

    fn take_from(&self, index: usize) -> Self {
        Self(self.0.get(index..).unwrap_or_default())
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(u8) -> bool>(&self, predicate: P) -> Option<usize> {
        self.0.iter().position(|octet| predicate(*octet))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.0.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        match count.checked_sub(self.0.len()) {
            None | Some(0) => Ok(count),
            Some(missing) => Err(Needed::new(missing)),
        }
    }
}

impl Offset for Octets<'_> {
    fn offset(&self, second: &Self) -> usize {
        self.0.len().saturating_sub(second.0.len())
    }
}

impl Compare<&str> for Octets<'_> {
    fn compare(&self, text: &str) -> CompareResult {
        self.0.compare(text)
    }

    fn compare_no_case(&self, text: &str) -> CompareResult {
        self.0.compare_no_case(text)
    }
}
