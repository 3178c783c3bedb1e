use evenkeel_store::*;
use jiff::Timestamp;
#[test]
fn real() {
    let Ok(dir) = std::env::var("TINY") else { return };
    let path = std::path::Path::new(&dir).join("j.db");
    let now = Timestamp::UNIX_EPOCH;
    let key = || SigningKey::from_seed([7; 32]);
    let mut s = Store::open(&path, "o", key(), now).unwrap();
    let body = vec![1u8; 3000];
    let ballast = std::path::Path::new(&dir).join("ballast");
    std::fs::write(&ballast, vec![0u8; 300_000]).unwrap();
    let mut n = 0u64;
    for round in 0..4 {
        loop {
            let snap = n % 20 == 0;
            match s.append(&[
                Entry {
                    at: now,
                    kind: if snap { "snapshot" } else { "x" },
                    target_id: Some("t"),
                    body: &body,
                },
                Entry { at: now, kind: "x", target_id: Some("t"), body: &body },
            ]) {
                Ok(seq) => {
                    n = seq;
                }
                Err(e) => {
                    println!(
                        "round {round}: {e:?}\n poisoned {} last {} n {n}",
                        s.is_poisoned(),
                        s.last_seq()
                    );
                    assert_eq!(s.last_seq(), n);
                    break;
                }
            }
        }
        let v = verify(&path, None).map(|v| (v.intact, v.last_seq, v.faults));
        println!("verify {v:?}");
        println!("checkpoint {:?}", s.checkpoint(now).map(|c| c.size).map_err(|e| e.to_string()));
        match round {
            0 => {
                std::fs::remove_file(&ballast).unwrap();
            }
            1 => {
                let snap = s.reader().unwrap().latest_of_kind("snapshot").unwrap().unwrap().seq;
                println!("prune to {snap}: {:?}", s.prune(snap, now));
            }
            2 => {
                let last = s.last_seq();
                drop(s);
                println!("reopen");
                match Store::open(&path, "o", key(), now) {
                    Ok(r) => {
                        assert_eq!(r.last_seq(), last);
                        s = r;
                        let snap =
                            s.reader().unwrap().latest_of_kind("snapshot").unwrap().unwrap().seq;
                        println!("prune to {snap}: {:?}", s.prune(snap, now));
                    }
                    Err(e) => {
                        println!("{e:?}");
                        return;
                    }
                }
            }
            _ => {}
        }
    }
    println!("final {:?}", verify(&path, None).map(|v| (v.intact, v.last_seq, v.faults)));
}
