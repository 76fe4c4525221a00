//! Everything that is tested from outside, in one program: README.md says which part proves what.

mod abi;
mod author;
mod cli;
mod crash;
mod flow;
mod golden;
mod hostile;
mod input;
mod lanes;
mod lookups;
mod order;
mod reload;
mod table;
mod topics;
mod wire;
