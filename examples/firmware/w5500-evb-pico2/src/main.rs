//! The sensor's daily mail from a commercial board: WIZnet's W5500-EVB-Pico2, an RP2350 with an
//! Ethernet controller.

#![no_std]
#![no_main]

mod ethernet;

use embassy_executor::Spawner;
use embassy_net_wiznet::Device;
use embassy_rp::bind_interrupts;
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, TRNG};
use embassy_rp::trng::{self, Trng};

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => embassy_rp::dma::InterruptHandler<DMA_CH0>, embassy_rp::dma::InterruptHandler<DMA_CH1>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut seed = [0; 32];
    Trng::new(chip.TRNG, Irqs, trng::Config::default()).fill_bytes(&mut seed).await;
    let mut random = reporter::random(seed);
    let pins = ethernet::Pins {
        spi: chip.SPI0,
        clock: chip.PIN_18,
        mosi: chip.PIN_19,
        miso: chip.PIN_16,
        select: chip.PIN_17,
        interrupt: chip.PIN_21,
        reset: chip.PIN_20,
        dma: (chip.DMA_CH0, chip.DMA_CH1),
    };
    let device = ethernet::start(spawner, pins).await;
    let (stack, runner) = reporter::network(device, &mut random);
    spawner.spawn(network(runner).expect("one network"));
    reporter::report_daily(stack, &mut random).await
}
