//! Commands that begin with a verb.

#![allow(dead_code, reason = "not every protocol has verbs")]

use super::Command;
use crate::wire::{is_http, look_up};

/// What the table says of a verb. A command that stands alone, and does not, is answered with `fault`;
/// what HTTP says is for nobody here.
pub(crate) fn command<R: Copy>(
    table: &[(&[u8], Command<R>)],
    verb: &[u8],
    argument: &[u8],
    fault: R,
) -> Command<R> {
    match look_up(table, verb) {
        Some(Command::Harmless(_) | Command::Upgrade | Command::Quit) if !argument.is_empty() => {
            Command::Fault(fault)
        }
        Some(command) => command,
        None if is_http(verb) => Command::Foreign,
        None => Command::Unhandled,
    }
}
