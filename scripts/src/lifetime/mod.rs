//! `cargo x lifetime`: the aims for a key's life under load, measured on real processes.
//!
//! Two runs that are compared follow each other at once, several times; what is judged is their ratio, so that what slows the
//! machine down slows both.

mod aim;
pub mod arguments;
mod awake;
mod bench;
mod flood;
mod flood_kind;
mod flood_line;
mod house;
mod load;
mod login_flood;
mod mass_revocation;
mod newcomer;
mod operator;
mod pairs;
mod renewal;
mod report;
mod resume_refusal;
pub mod run;
mod usage;
mod visitor;
