//! Row 3: a token has three canonical base64url segments and at most 8 KiB.

use super::*;

/// Replaces the last character of a segment by one that a lenient decoder decodes to the same
/// bytes.
fn not_canonical(segment: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = segment.split_at(segment.len() - 1);
    let value = ALPHABET.iter().position(|digit| *digit == last.as_bytes()[0])?;
    (!segment.len().is_multiple_of(4)).then(|| format!("{head}{}", char::from(ALPHABET[value | 1])))
}

#[test]
fn other_encodings_of_the_same_bytes_are_refused() {
    let mut count = 0;
    for target in Target::all() {
        let segments = [&target.header, &target.payload, &target.signature];
        for (place, segment) in segments.iter().enumerate() {
            let mut changed: Vec<String> = ["=", "==", "===", " ", "\n", "\t", "\r\n", "\0", "A", "*", ".", "é", "%00"]
                .iter()
                .flat_map(|extra| {
                    let middle = segment.len() / 2;
                    let (head, tail) = segment.split_at(middle);
                    [format!("{segment}{extra}"), format!("{extra}{segment}"), format!("{head}{extra}{tail}")]
                })
                .collect();
            changed.extend(not_canonical(segment).filter(|other| other != *segment));
            changed.push(segment.replace('-', "+").replace('_', "/"));
            changed.extend([String::new(), segment[1..].to_owned(), segment[..segment.len() - 1].to_owned()]);
            for other in changed.into_iter().filter(|other| other != *segment) {
                let mut all = segments.map(String::as_str);
                all[place] = &other;
                let mut attacks = vec![(format!("segment {place}: {other:?}"), all.join("."))];
                // The text is signed. With a valid signature of the changed text, only the decoder
                // can refuse the token.
                if place < 2 {
                    attacks.push((
                        format!("segment {place} signed: {other:?}"),
                        target.sign(&format!("{}.{}", all[0], all[1])),
                    ));
                }
                count += target.refuses(attacks);
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn other_serialisations_and_numbers_of_segments_are_refused() {
    for target in Target::all() {
        let Target { header, payload, signature, token, .. } = &target;
        let flattened = format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
        let general =
            format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#);
        let texts = [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            ".".repeat(10_000),
            ".".repeat(8192),
            header.clone(),
            format!("{header}.{payload}"),
            format!("{header}.{payload}."),
            format!("{header}..{signature}"),
            format!(".{payload}.{signature}"),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{header}.{payload}.{payload}.{signature}.{signature}"),
            format!("{token}{token}"),
            format!("{token} "),
            format!(" {token}"),
            format!("Bearer {token}"),
            format!("{token}\0"),
            format!("{token}\n"),
            token.replace('.', "\u{3002}"),
            token.to_ascii_uppercase(),
            target.with_payload(token),
            target.with_payload(format!("\"{token}\"")),
            encode(token),
            flattened,
            general,
        ];
        target.refuses(texts.into_iter().map(|text| (text.clone(), text)));
    }
}

#[test]
fn a_signature_with_a_changed_bit_is_refused() {
    let mut count = 0;
    for target in Target::all() {
        let signature = URL_SAFE_NO_PAD.decode(&target.signature).unwrap();
        let message = format!("{}.{}", target.header, target.payload);
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1 << (at % 8);
            count += target.refuses([(format!("byte {at}"), format!("{message}.{}", encode(other)))]);
        }
        let mut twice = signature.clone();
        twice.extend_from_slice(&signature);
        let others = [
            Vec::new(),
            vec![0; signature.len()],
            vec![0xff; signature.len()],
            signature[..signature.len() - 1].to_vec(),
            signature[1..].to_vec(),
            [&[0], signature.as_slice()].concat(),
            [signature.as_slice(), &[0]].concat(),
            twice,
            vec![0; 1024],
        ];
        count += target.refuses(others.map(|other| (format!("{other:?}"), format!("{message}.{}", encode(other)))));
    }
    assert!(count > 800, "{count}");
}

#[test]
fn tokens_over_8_kib_and_deep_payloads_are_refused() {
    for target in Target::all() {
        let deep = |depth: usize| {
            let claims = good_claims(&[]);
            format!("{},\"deep\":{}{}}}", claims.strip_suffix('}').unwrap(), "[".repeat(depth), "]".repeat(depth))
        };
        let fitting = target.with_payload(deep(2000));
        assert!(fitting.len() < MAX_TOKEN_BYTES);
        assert_eq!(target.verdict(&fitting), None, "unknown claims are skipped at any depth");
        let megabyte = format!("{}.{}", target.header, "A".repeat(1 << 20));
        target.refuses([
            ("depth".to_owned(), target.with_payload(deep(100_000))),
            ("open depth".to_owned(), target.with_payload("[".repeat(5000))),
            ("open depth of objects".to_owned(), target.with_payload(r#"{"a":"#.repeat(1000))),
            ("size".to_owned(), format!("{megabyte}.{}", target.signature)),
        ]);
        let padded = format!("{{{}{}", " ".repeat(9000), &good_claims(&[])[1..]);
        target.refuses([("spaces".to_owned(), target.with_payload(padded))]);
    }
}
