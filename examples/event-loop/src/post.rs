//! The mails: those to send, and those that arrived.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::figures;

#[derive(Default)]
pub(crate) struct Post {
    mails: Cell<usize>,
    says_begin: bool,
    /// The number of connected clients, whether all are, and the number of accepted mails.
    pub(crate) up: Cell<usize>,
    pub(crate) begun: Cell<bool>,
    pub(crate) sent: Cell<usize>,
    next: Cell<usize>,
    /// The process's memory when all connections were idle, in bytes.
    pub(crate) idle_memory: Cell<Option<usize>>,
    pub(crate) arrived: RefCell<BTreeSet<usize>>,
}

impl Post {
    pub(crate) fn new(mails: usize, says_begin: bool) -> Self {
        Self { mails: mails.into(), says_begin, ..Self::default() }
    }

    /// All clients are inside TLS: mails may leave.
    pub(crate) fn begin(&self) {
        self.begun.set(true);
        self.idle_memory.set(figures::memory());
        if self.says_begin {
            println!("all are inside TLS");
        }
    }

    /// No further mail begins.
    pub(crate) fn stop(&self) {
        self.mails.set(self.mails.get().min(self.next.get()));
    }

    /// The next mail; empty after the last.
    pub(crate) fn next_mail(&self) -> Vec<u8> {
        let next = self.next.replace(self.next.get() + 1);
        if next < self.mails.get() { message(next) } else { Vec::new() }
    }

    /// Records an arrived mail; returns whether it was sent and arrives for the first time.
    pub(crate) fn arrives(&self, text: &[u8]) -> bool {
        let index = || str::from_utf8(text).ok()?.lines().next()?.strip_prefix("Subject: ");
        let index = index().and_then(|index| index.parse().ok()).filter(|i| *i < self.next.get());
        index.is_some_and(|i| text == message(i) && self.arrived.borrow_mut().insert(i))
    }
}

/// A unique mail, with dots at the start of lines.
fn message(index: usize) -> Vec<u8> {
    let mut text = format!("Subject: {index}\r\n\r\n");
    (0..index * 37 % 2000).for_each(|n| text += &format!("{}{n}\r\n", ".".repeat(n % 3)));
    text.into_bytes()
}
