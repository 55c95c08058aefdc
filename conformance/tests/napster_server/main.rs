//! A Napster server in the real host, and clients that are nothing but a socket: what must hold against people who are not ours.

mod accounts;
mod coming_back;
mod crowds;
mod foreign;
mod house;
