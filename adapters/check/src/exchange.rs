//! What both sides of a connection sent.

use serde::{Serialize, Serializer};

/// Who sent bytes, or what else happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mark {
    /// The client sent the bytes.
    Client,
    /// The server sent the bytes.
    Server,
    /// TLS began. The text says which version.
    Tls,
    /// The connection ended, or a handshake failed. The text says how.
    End,
}

/// One step of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// Who or what.
    pub mark: Mark,
    /// Whether it happened inside TLS.
    pub inside: bool,
    /// The bytes, or the text of a mark that is not a side's. At most 4 KiB of a step are kept.
    #[serde(serialize_with = "latin1")]
    pub bytes: Vec<u8>,
    /// The number of further bytes of the step.
    pub omitted: usize,
}

/// A connection from its begin to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Exchange(Vec<Moment>);

/// The kept bytes of one step.
const KEPT: usize = 4096;

impl Exchange {
    /// The steps, in order.
    #[must_use]
    pub fn moments(&self) -> &[Moment] {
        &self.0
    }

    /// A number that grows with everything that is added.
    pub(crate) fn size(&self) -> usize {
        self.0.iter().map(|step| 1 + step.bytes.len() + step.omitted).sum()
    }

    /// Adds bytes, or the text of a mark that is not a side's.
    ///
    /// Bytes of the same side, on the same side of the boundary, are one step. 4 KiB of a step are kept.
    pub fn push(&mut self, mark: Mark, inside: bool, bytes: &[u8]) {
        let is_side = matches!(mark, Mark::Client | Mark::Server);
        let goes_on = |last: &Moment| is_side && last.mark == mark && last.inside == inside;
        if !self.0.last().is_some_and(goes_on) {
            self.0.push(Moment { mark, inside, bytes: Vec::new(), omitted: 0 });
        }
        if let Some(step) = self.0.last_mut() {
            let (kept, omitted) =
                bytes.split_at(KEPT.saturating_sub(step.bytes.len()).min(bytes.len()));
            step.bytes.extend_from_slice(kept);
            step.omitted += omitted.len();
        }
    }
}

/// Bytes as text with one character for each, as in `vectors.json`.
fn latin1<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
}
