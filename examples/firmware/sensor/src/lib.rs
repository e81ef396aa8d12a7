//! The common part of every board, for any network and TLS: the [mail](Report) with its
//! [attachment](Readings), the [settings](Settings) in flash, and the [exit code](Exit).

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
