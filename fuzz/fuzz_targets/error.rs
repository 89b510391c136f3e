//! See `provider_fuzz::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| provider_fuzz::run("error", data));
