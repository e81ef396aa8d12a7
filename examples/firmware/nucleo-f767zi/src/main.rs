//! The sensor's daily mail from a commercial board: ST's NUCLEO-F767ZI, an STM32F767 with Ethernet.

#![no_std]
#![no_main]

use cortex_m as _;
use embassy_executor::Spawner;
use embassy_stm32::eth::{self, Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::time::Hertz;
use embassy_stm32::{Config, bind_interrupts, rcc, uid};
use static_cell::StaticCell;

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

/// The controller of the chip, and the one that drives the cable.
type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static PACKETS: StaticCell<PacketQueue<4, 4>> = StaticCell::new();

    let chip = embassy_stm32::init(clocks());
    let mut seed = [0; 32];
    let mut generator = Rng::new(chip.RNG, Irqs);
    // The chip tests its noise all the time. After an error the whole seed is new.
    while let Err(error) = generator.async_fill_bytes(&mut seed).await {
        defmt::error!("the random number generator: {}", error);
    }
    let mut random = reporter::random(seed);
    let device = Ethernet::new(
        PACKETS.init(PacketQueue::new()),
        chip.ETH,
        Irqs,
        chip.PA1,
        chip.PA7,
        chip.PC4,
        chip.PC5,
        chip.PG13,
        chip.PB13,
        chip.PG11,
        reporter::address(unique()),
        chip.ETH_SMA,
        chip.PA2,
        chip.PC1,
    );
    let (stack, runner) = reporter::network(device, &mut random);
    spawner.spawn(network(runner).expect("one network"));
    reporter::report_daily(stack, &mut random).await
}

/// 216 MHz for the core, and 48 MHz for the random number generator, from the 8 MHz of the debug probe.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(rcc::Hse { freq: Hertz(8_000_000), mode: rcc::HseMode::Bypass });
    rcc.pll_src = rcc::PllSource::HSE;
    rcc.pll = Some(rcc::Pll {
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL216,
        divp: Some(rcc::PllPDiv::DIV2),
        divq: Some(rcc::PllQDiv::DIV9),
        divr: None,
    });
    rcc.apb1_pre = rcc::APBPrescaler::DIV4;
    rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    rcc.sys = rcc::Sysclk::PLL1_P;
    rcc.mux.clk48sel = rcc::mux::Clk48sel::PLL1_Q;
    config
}

/// Five bytes of a hash of the chip's unique number, which has the place on the wafer, the wafer and the lot: FNV-1a.
fn unique() -> [u8; 5] {
    let hash = uid::uid().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    [a, b, c, d, e]
}
