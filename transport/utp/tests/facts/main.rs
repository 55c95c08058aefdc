//! What holds of uTP on a line with a rate, a delay, a queue, and faults.

mod hostile;
mod line;
mod streams;
mod yielding;
