#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod growing;
mod link;
mod login;
mod mail;
mod observer;
mod receipt;
mod settings;
mod taking;
mod timeouts;
mod tls;
mod verify;

pub use error::{Answer, Doing, Error};
pub use growing::Growing;
pub use link::{Link, Turn};
pub use login::{Binding, Login};
pub use mail::{Mail, Recipient};
pub use observer::{Observer, Silent};
pub use receipt::{Letter, Opened, Receipt, Stage, Welcome};
pub use settings::{InboxSettings, MAX_MESSAGE, Mode, Settings};
pub use taking::{Asked, Taking, bad_credentials};
pub use timeouts::Timeouts;
pub use tls::{ClientTls, Opening, check_alpn};

pub use rustls;
