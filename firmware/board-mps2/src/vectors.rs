//! Interrupts of the board and memory-mapped registers.

/// Interrupt numbers used.
#[derive(Clone, Copy)]
#[repr(u16)]
#[expect(non_camel_case_types, reason = "the reference manual's names")]
pub enum Irq {
    UART0_RX = 0,
    UART0_TX = 1,
    UART1_RX = 2,
    UART1_TX = 3,
    TIMER0 = 8,
    TIMER1 = 9,
    SWI31 = 31,
}

// SAFETY: the numbers are those of the board's interrupt controller, each within its 32 lines.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self as u16
    }
}

unsafe extern "C" {
    fn UART0_RX();
    fn UART0_TX();
    fn UART1_RX();
    fn UART1_TX();
    fn TIMER0();
    fn TIMER1();
    fn SWI31();
}

/// An entry of the vector table.
#[derive(Clone, Copy)]
pub union Vector {
    handler: unsafe extern "C" fn(),
    reserved: usize,
}

const fn table() -> [Vector; 32] {
    let mut table = [Vector { reserved: 0 }; 32];
    table[0] = Vector { handler: UART0_RX };
    table[1] = Vector { handler: UART0_TX };
    table[2] = Vector { handler: UART1_RX };
    table[3] = Vector { handler: UART1_TX };
    table[8] = Vector { handler: TIMER0 };
    table[9] = Vector { handler: TIMER1 };
    table[31] = Vector { handler: SWI31 };
    table
}

/// Read by the processor at an interrupt.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Vector; 32] = table();

/// Reads a register.
pub fn read(address: usize) -> u32 {
    // SAFETY: callers pass addresses of device registers of this board, always mapped and word-aligned.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes a register.
pub fn write(address: usize, value: u32) {
    // SAFETY: as for `read`; the registers written belong to the one module that uses the device.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// Lets an interrupt through.
pub fn unmask(irq: Irq) {
    // SAFETY: the handler of each unmasked interrupt is in the table above.
    unsafe { cortex_m::peripheral::NVIC::unmask(irq) }
}
