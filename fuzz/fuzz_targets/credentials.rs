#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| enfilade_fuzz::identity::credentials(data));
