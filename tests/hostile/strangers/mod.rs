//! Cases of people who did not write the program and tried to break it, with what they expected. Their expectations stay
//! as they are: where the program does something else, the program or the documentation is wrong.

mod bindings;
mod folder;
mod odd_records;
mod starts;
mod swapped_outcomes;
