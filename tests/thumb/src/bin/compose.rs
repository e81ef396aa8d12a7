//! A message with a picture, composed in a buffer of 512 bytes, and not sent.

#![no_std]
#![no_main]

use starttls::Error;
use starttls::mail::Address;
use starttls::mail::message::{Attachment, Date, Header, Mailbox, Message, Progress};
use starttls_thumb::{opaque, receive, send};

const TO: [Mailbox<'_>; 1] = [Mailbox::new(address("you@example.org"))];
const HEADERS: [Header<'_>; 1] = [Header::AUTO_GENERATED];
const PICTURES: [Attachment<'_>; 1] = [match Attachment::new("image/jpeg", "gate.jpg") {
    Ok(picture) => picture,
    Err(_) => panic!("not an attachment"),
}];
const MESSAGE: Message<'_> = {
    let Ok(from) = Mailbox::named("Sensor", address("sensor@example.org")) else {
        panic!("not a name");
    };
    match Message::new(from, &TO).with_subject("21,5 °C") {
        Ok(message) => message.with_headers(&HEADERS).with_attachments(&PICTURES),
        Err(_) => panic!("not a subject"),
    }
};

const fn address(text: &str) -> Address<'_> {
    match Address::new(text) {
        Ok(address) => address,
        Err(_) => panic!("not an address"),
    }
}

fn compose(text: &str) -> Result<(), Error> {
    let mut message = MESSAGE.with_text(text);
    if let Ok(date) = Date::utc(opaque(0)) {
        message = message.with_date(date);
    }
    let (mut camera, mut output) = ([0; 64], [0; 512]);
    let mut composer = message.compose();
    loop {
        match composer.step(&mut output)? {
            Progress::Write(n) => send(output.get(..n).unwrap_or_default()),
            Progress::Attachment(_) => {
                let received = receive(&mut camera);
                let mut piece = camera.get(..received).unwrap_or_default();
                while !piece.is_empty() {
                    let n = composer.attach(&mut piece, &mut output)?;
                    send(output.get(..n).unwrap_or_default());
                }
                composer.end_attachment()?;
            }
            Progress::Done => return Ok(()),
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    send(if compose(opaque("All is well.\n")).is_ok() { b"composed" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
