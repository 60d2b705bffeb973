//! The pins, as they are on the board's drawing.

use dock_firmware::logic::{BAYS, BaySense, Drive, Sense};
use embassy_stm32::adc::{Adc, AnyAdcChannel, SampleTime};
use embassy_stm32::gpio::{Input, Output};
use embassy_stm32::peripherals::ADC1;
use stm32l4r5::dock as dock_firmware;

/// Full scale of the converter.
const FULL: u32 = 4_095;
/// Its reference in millivolts.
const REFERENCE_MV: u32 = 3_300;
/// The supply is measured behind a divider by this.
const SUPPLY_DIVIDER: u32 = 4;

/// Pins and converter.
pub(crate) struct Pins {
    pub(crate) switches: [Input<'static>; BAYS],
    pub(crate) bolts: [Input<'static>; BAYS],
    pub(crate) locks: [Output<'static>; BAYS],
    pub(crate) gates: [Output<'static>; BAYS],
    pub(crate) greens: [Output<'static>; BAYS],
    pub(crate) reds: [Output<'static>; BAYS],
    /// Current of each bay, one volt an ampere.
    pub(crate) currents: [AnyAdcChannel<'static, ADC1>; BAYS],
    pub(crate) supply: AnyAdcChannel<'static, ADC1>,
    pub(crate) adc: Adc<'static, ADC1>,
    pub(crate) button: Input<'static>,
    pub(crate) buzzer: Output<'static>,
}

impl Pins {
    fn millivolts(adc: &mut Adc<'static, ADC1>, channel: &mut AnyAdcChannel<'static, ADC1>) -> u16 {
        let raw = u32::from(adc.blocking_read(channel, SampleTime::CYCLES47_5));
        u16::try_from(raw * REFERENCE_MV / FULL).unwrap_or(u16::MAX)
    }

    pub(crate) fn sense(&mut self) -> Sense<BAYS> {
        let mut bays = [BaySense::default(); BAYS];
        let inputs = self.switches.iter().zip(&self.bolts).zip(&mut self.currents);
        for (bay, ((switch, bolt), current)) in bays.iter_mut().zip(inputs) {
            *bay = BaySense {
                switch: switch.is_low(),
                bolt_closed: bolt.is_low(),
                current_ma: Self::millivolts(&mut self.adc, current),
            };
        }
        let supply = u32::from(Self::millivolts(&mut self.adc, &mut self.supply)) * SUPPLY_DIVIDER;
        Sense {
            bays,
            button: self.button.is_low(),
            supply_mv: u16::try_from(supply).unwrap_or(u16::MAX),
        }
    }

    pub(crate) fn drive(&mut self, drive: &Drive<BAYS>) {
        let outputs = self
            .locks
            .iter_mut()
            .zip(&mut self.gates)
            .zip(&mut self.greens)
            .zip(&mut self.reds);
        for (bay, (((lock, gate), green), red)) in drive.bays.iter().zip(outputs) {
            lock.set_level(bay.close.into());
            gate.set_level(bay.power.into());
            green.set_level(bay.green.into());
            red.set_level(bay.red.into());
        }
        self.buzzer.set_level(drive.buzzer.into());
    }

    /// All digital inputs as bits.
    pub(crate) fn levels(&self) -> u32 {
        let inputs = self.switches.iter().chain(&self.bolts).chain([&self.button]);
        inputs.fold(0, |levels, input| (levels << 1) | u32::from(input.is_low()))
    }
}

macro_rules! inputs {
    ($p:ident: $($pin:ident)*) => { [$(embassy_stm32::gpio::Input::new($p.$pin, embassy_stm32::gpio::Pull::Up)),*] };
}
macro_rules! outputs {
    ($p:ident: $($pin:ident)*) => {{
        use embassy_stm32::gpio::{Level, Output, Speed};
        [$(Output::new($p.$pin, Level::Low, Speed::Low)),*]
    }};
}
pub(crate) use {inputs, outputs};

/// Takes the pins out of the chip's peripherals.
macro_rules! pins {
    ($p:ident) => {{
        use embassy_stm32::adc::{Adc, AdcChannel as _};
        use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
        $crate::pins::Pins {
            switches: $crate::pins::inputs!($p: PD0 PD1 PD2 PD3 PD4 PD5 PD6 PD7 PD8 PD9),
            bolts: $crate::pins::inputs!($p: PE0 PE1 PE2 PE3 PE4 PE5 PE6 PE7 PE8 PE9),
            locks: $crate::pins::outputs!($p: PF0 PF1 PF2 PF3 PF4 PF5 PF6 PF7 PF8 PF9),
            gates: $crate::pins::outputs!($p: PG0 PG1 PG2 PG3 PG4 PG5 PG6 PG7 PG8 PG9),
            greens: $crate::pins::outputs!($p: PB2 PB3 PB4 PB5 PB6 PB7 PB8 PB9 PB10 PB11),
            reds: $crate::pins::outputs!($p: PE10 PE11 PE12 PE13 PE14 PE15 PD10 PD11 PD12 PD13),
            currents: [
                $p.PA0.degrade_adc(), $p.PA1.degrade_adc(), $p.PA2.degrade_adc(), $p.PA3.degrade_adc(),
                $p.PA4.degrade_adc(), $p.PA5.degrade_adc(), $p.PA6.degrade_adc(), $p.PA7.degrade_adc(),
                $p.PC0.degrade_adc(), $p.PC1.degrade_adc(),
            ],
            supply: $p.PC2.degrade_adc(),
            adc: Adc::new($p.ADC1),
            button: Input::new($p.PD14, Pull::Up),
            buzzer: Output::new($p.PD15, Level::Low, Speed::Low),
        }
    }};
}
pub(crate) use pins;
