//! The `rustbalance` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rustbalance::cli::main()
}
