//! Both ends of the line without a wire: the driver against the board's own logic, over lines that lose, double and
//! garble, and against boards that are half dead.

mod board;
mod lossy;
mod troubled;
