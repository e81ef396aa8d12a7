//! What every board says, whatever its network and its TLS are made of: the [mail](Report) with its
//! [attachment](Readings), the [settings](Settings) that it finds in flash, and the [exit code](Exit)
//! that tells how it went.

#![no_std]
#![forbid(unsafe_code)]

mod exit;
mod readings;
mod report;
mod settings;

pub use exit::Exit;
pub use readings::Readings;
pub use report::Report;
pub use settings::{Settings, SettingsError};
