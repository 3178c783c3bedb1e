//! Any text as a condition: see `agent/core/tests/condition/any_text.rs`.
#![no_main]

#[path = "../../tests/condition/any_text.rs"]
mod any_text;

libfuzzer_sys::fuzz_target!(|text: &str| {
    any_text::check(text, &any_text::environment());
});
