//! Lets tests and examples find the libpython that they are linked with, and records its version.

fn main() {
    // Without this, a program linked with one libpython loads another of the same name if the system has one.
    pyo3_build_config::add_libpython_rpath_link_args();
    // `Py_LIMITED_API`: a wheel for several versions does not start interpreters.
    pyo3_build_config::use_pyo3_cfgs();
    let version = pyo3_build_config::get().version();
    println!(
        "cargo::rustc-env=ENFILADE_PYTHON={}.{}",
        version.major, version.minor
    );
}
