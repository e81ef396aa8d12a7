//! The sizes of the machines, as sizes of symbols.

#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::size_of;

use starttls::{Tls, mail, smtp};
use starttls_thumb as _;

const CLIENT: usize = size_of::<smtp::Client<'_>>();
const SERVER: usize = size_of::<smtp::Server<'_>>();
const SESSION: usize = size_of::<mail::Session<Tls>>();
const RECEIVER: usize = size_of::<mail::Receiver<'_, Tls>>();
const COMPOSER: usize = size_of::<mail::message::Composer<'_>>();

const _: () = assert!(CLIENT <= 32, "the state of a client's upgrade has outgrown 32 bytes");

#[unsafe(no_mangle)]
static SMTP_CLIENT: [u8; CLIENT] = [0; CLIENT];
#[unsafe(no_mangle)]
static SMTP_SERVER: [u8; SERVER] = [0; SERVER];
#[unsafe(no_mangle)]
static MAIL_SESSION: [u8; SESSION] = [0; SESSION];
#[unsafe(no_mangle)]
static MAIL_RECEIVER: [u8; RECEIVER] = [0; RECEIVER];
#[unsafe(no_mangle)]
static MAIL_COMPOSER: [u8; COMPOSER] = [0; COMPOSER];

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    black_box((&SMTP_CLIENT, &SMTP_SERVER, &MAIL_SESSION, &MAIL_RECEIVER, &MAIL_COMPOSER));
    loop {
        core::hint::spin_loop();
    }
}
