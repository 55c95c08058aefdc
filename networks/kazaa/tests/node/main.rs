//! A node among peers who are played by the test.

mod election;
mod floods;
mod leaves;
mod reaching;
mod stage;
