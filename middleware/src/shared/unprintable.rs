//! Characters with special effects in a terminal.

/// Whether a character is a terminal command, ends a line or changes the direction of text.
pub(crate) fn is_unprintable(character: char) -> bool {
    let ends_a_line = matches!(character, '\u{2028}' | '\u{2029}');
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || ends_a_line || turns_direction
}
