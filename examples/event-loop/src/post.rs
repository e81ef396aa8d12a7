//! The mails: those to send, and those that arrived.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

#[derive(Default)]
pub(crate) struct Post {
    pub(crate) mails: usize,
    /// The number of connected clients, whether all are, and the number of accepted mails.
    pub(crate) up: Cell<usize>,
    pub(crate) begun: Cell<bool>,
    pub(crate) sent: Cell<usize>,
    pub(crate) next: Cell<usize>,
    pub(crate) arrived: RefCell<BTreeSet<usize>>,
}

impl Post {
    /// The next mail; empty after the last.
    pub(crate) fn next_mail(&self) -> Vec<u8> {
        let next = self.next.replace(self.next.get() + 1);
        if next < self.mails { message(next) } else { Vec::new() }
    }

    /// Records an arrived mail; returns whether it was sent and arrives for the first time.
    pub(crate) fn arrives(&self, text: &[u8]) -> bool {
        let index = || str::from_utf8(text).ok()?.lines().next()?.strip_prefix("Subject: ");
        let index = index().and_then(|index| index.parse().ok()).filter(|i| *i < self.mails);
        index.is_some_and(|i| text == message(i) && self.arrived.borrow_mut().insert(i))
    }
}

/// A unique mail, with dots at the start of lines.
fn message(index: usize) -> Vec<u8> {
    let mut text = format!("Subject: {index}\r\n\r\n");
    (0..index * 37 % 2000).for_each(|n| text += &format!("{}{n}\r\n", ".".repeat(n % 3)));
    text.into_bytes()
}
