//! Lets tests and examples find the libpython that they are linked with, and notes its version.

fn main() {
    // Without it a program that is linked with one libpython takes another of the same name where the system has one.
    pyo3_build_config::add_libpython_rpath_link_args();
    let version = pyo3_build_config::get().version();
    println!(
        "cargo::rustc-env=ENFILADE_PYTHON={}.{}",
        version.major, version.minor
    );
}
