//! Commands that begin with a verb.

use super::Command;
use crate::wire::{is_http, look_up};

/// Looks up a `verb`, in any case, in `table`.
///
/// An `argument` is a mistake, answered with `fault`, after a command that takes none:
/// [`Command::Harmless`], [`Command::Upgrade`] and [`Command::Quit`]. A verb of HTTP outside the table is
/// [`Command::Foreign`], any other unknown verb [`Command::Unhandled`].
///
/// ```
/// use starttls::server::{Command, command_by_verb};
///
/// const VERBS: [(&[u8], Command<&str>); 2] =
///     [(b"NOOP", Command::Harmless("done")), (b"STARTTLS", Command::Upgrade)];
///
/// let command = |verb, argument| command_by_verb(&VERBS, verb, argument, "no arguments");
/// assert_eq!(command(b"starttls", b""), Command::Upgrade);
/// assert_eq!(command(b"STARTTLS", b"now"), Command::Fault("no arguments"));
/// assert_eq!(command(b"GET", b"/ HTTP/1.1"), Command::Foreign);
/// ```
pub fn command_by_verb<R: Copy>(
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
