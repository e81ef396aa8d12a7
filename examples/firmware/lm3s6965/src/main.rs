//! A sensor's daily mail, from a Cortex-M3 with 256 KiB of flash and 64 KiB of RAM and no heap.

#![no_std]
#![no_main]

use sensor::{Exit, Settings};

#[cortex_m_rt::entry]
fn main() -> ! {
    let exit = run();
    emulator::exit(exit)
}

fn run() -> Exit {
    let settings = match Settings::parse(emulator::settings()) {
        Ok(settings) => settings,
        Err(error) => {
            defmt::error!("settings: {}", error);
            return Exit::Settings;
        }
    };
    defmt::info!("{=str}:{=u16} at {=u64}", settings.host, settings.port, emulator::now());
    Exit::Accepted
}
