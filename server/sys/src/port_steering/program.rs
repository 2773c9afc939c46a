//! The program, instruction by instruction.

use std::net::IpAddr;

use libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX,
    BPF_MEM, BPF_MOD, BPF_MSH, BPF_MUL, BPF_RET, BPF_RSH, BPF_ST, BPF_W, sock_filter,
};

use super::{ADDRESS_BITS, PREFIX_BITS, PortHash, QUEUE_COUNT, SET_APART, Source, SourceHash};

/// Offsets from here are offsets into the IP header (`SKF_NET_OFF`); the program sees the bytes behind the TCP header.
const NET: u32 = libc::SKF_NET_OFF.cast_unsigned();
/// Offset of the protocol of what follows the header of IPv6, and its length.
const NEXT_HEADER_AT: u32 = 6;
const IPV6_HEADER_BYTES: u32 = 40;
/// Offsets of the source addresses.
const SOURCE_V4_AT: u32 = 12;
const SOURCE_V6_AT: u32 = 8;
const TCP: u32 = libc::IPPROTO_TCP.cast_unsigned();
/// No socket's number: the kernel then chooses as it does without a program.
const NO_CHOICE: u32 = u32::MAX;
/// The result is the accumulator (`BPF_A`).
const RETURN_A: u32 = BPF_RET | 0x10;
/// The other operand is the index register (`BPF_X`), which libc does not name; `BPF_ADD` is 0. Likewise moving A to X (`BPF_MISC`).
const ADD_X: u32 = BPF_ALU | 0x08;
const A_TO_X: u32 = 0x07;
/// Words of scratch memory: the port, the number of the queue.
const PORT: u32 = 0;
const QUEUE: u32 = 1;
const WORD: u32 = 2;
/// No instruction: a place for a jump whose length is not known yet.
const NAMED: u16 = u16::MAX;

const fn step(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// If the accumulator is `k` over `jt` steps, else over `jf`.
const fn jump(k: u32, jt: usize, jf: usize) -> sock_filter {
    sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt: jt as u8, jf: jf as u8, k }
}

/// For the sockets of so many shards, one of each or as many as there are queues.
pub(super) fn of(
    hash: PortHash,
    shard_count: u32,
    sources: Option<(&SourceHash, &[Source])>,
) -> Vec<sock_filter> {
    // IPv4: the port is behind a header of any length.
    let mut v4 =
        vec![step(BPF_LDX | BPF_B | BPF_MSH, NET), step(BPF_LD | BPF_H | BPF_IND, NET), step(BPF_ST, PORT)];
    // IPv6: only where TCP follows at once.
    let mut v6 = vec![
        step(BPF_LD | BPF_B | BPF_ABS, NET + NEXT_HEADER_AT),
        jump(TCP, 1, 0),
        step(BPF_RET | BPF_K, NO_CHOICE),
        step(BPF_LD | BPF_H | BPF_ABS, NET + IPV6_HEADER_BYTES),
        step(BPF_ST, PORT),
    ];
    let mut end = vec![
        step(BPF_LD | BPF_MEM, PORT),
        step(BPF_ALU | BPF_MUL | BPF_K, hash.multiplier),
        step(BPF_ALU | BPF_RSH | BPF_K, hash.shift),
        step(BPF_ALU | BPF_MOD | BPF_K, shard_count),
    ];
    if let Some((sources, apart)) = sources {
        v4.extend(set_apart(named_v4(apart), queue_v4(sources)));
        v6.extend(set_apart(named_v6(apart), queue_v6(sources)));
        end.extend([
            step(BPF_ALU | BPF_MUL | BPF_K, QUEUE_COUNT as u32),
            step(BPF_LDX | BPF_MEM, QUEUE),
            step(ADD_X, 0),
        ]);
    }
    v4.push(step(BPF_JMP | BPF_JA, v6.len() as u32));
    let begin =
        [step(BPF_LD | BPF_B | BPF_ABS, NET), step(BPF_ALU | BPF_RSH | BPF_K, 4), jump(4, 0, v4.len())];
    let mut program = begin.to_vec();
    program.append(&mut v4);
    program.append(&mut v6);
    program.append(&mut end);
    program.push(step(RETURN_A, 0));
    program
}

/// `named` ends in a jump over 0 steps where the source is one of those, which is made one to where their queue is put in its place;
/// else `spread` puts another there.
fn set_apart(mut named: Vec<sock_filter>, spread: Vec<sock_filter>) -> Vec<sock_filter> {
    const ITS_QUEUE: [sock_filter; 2] = [step(BPF_LD | BPF_IMM, SET_APART as u32), step(BPF_ST, QUEUE)];
    let to_its_queue = named.len() + spread.len();
    for (at, step) in named.iter_mut().enumerate() {
        if step.code == NAMED {
            *step = jump(step.k, to_its_queue - at, 0);
        }
    }
    named.extend(spread);
    named.push(step(BPF_JMP | BPF_JA, ITS_QUEUE.len() as u32));
    named.extend(ITS_QUEUE);
    named
}

/// Compares an IPv4 source with those that are named.
fn named_v4(apart: &[Source]) -> Vec<sock_filter> {
    let words = |is_prefix: bool| {
        apart.iter().filter(move |source| source.is_prefix == is_prefix).filter_map(|source| {
            match source.address {
                IpAddr::V4(address) => Some(u32::from(address)),
                IpAddr::V6(_) => None,
            }
        })
    };
    let named = |k: u32| sock_filter { code: NAMED, jt: 0, jf: 0, k };
    let mut steps = vec![step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V4_AT)];
    steps.extend(words(false).map(named));
    steps.push(step(BPF_ALU | BPF_RSH | BPF_K, 8));
    steps.extend(words(true).map(|word| named(word >> 8)));
    steps
}

/// The same for IPv6.
fn named_v6(apart: &[Source]) -> Vec<sock_filter> {
    let steps = |source: &Source| match source.address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let (size, low) = if source.is_prefix {
                (BPF_H, (bits >> 80) as u16 as u32)
            } else {
                (BPF_W, (bits >> 64) as u32)
            };
            Some([
                step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V6_AT),
                jump((bits >> 96) as u32, 0, 2),
                step(BPF_LD | size | BPF_ABS, NET + SOURCE_V6_AT + 4),
                sock_filter { code: NAMED, jt: 0, jf: 0, k: low },
            ])
        }
    };
    apart.iter().filter_map(steps).flatten().collect()
}

/// Puts the number of the queue in its place.
fn queue_v4(sources: &SourceHash) -> Vec<sock_filter> {
    let load = step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V4_AT);
    vec![
        load,
        step(BPF_ALU | BPF_RSH | BPF_K, 8),
        step(BPF_ALU | BPF_MUL | BPF_K, sources.prefix[0]),
        step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - PREFIX_BITS),
        step(BPF_ALU | BPF_MUL | BPF_K, 1 << ADDRESS_BITS),
        step(BPF_ST, QUEUE),
        load,
        step(BPF_ALU | BPF_MUL | BPF_K, sources.address[0]),
        step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - ADDRESS_BITS),
        step(BPF_LDX | BPF_MEM, QUEUE),
        step(ADD_X, 0),
        step(BPF_ST, QUEUE),
    ]
}

/// The same.
fn queue_v6(sources: &SourceHash) -> Vec<sock_filter> {
    let hash = |low: u32, by: [u32; 2], bits: u32| {
        [
            step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V6_AT),
            step(BPF_ALU | BPF_MUL | BPF_K, by[0]),
            step(BPF_ST, WORD),
            step(BPF_LD | low | BPF_ABS, NET + SOURCE_V6_AT + 4),
            step(BPF_ALU | BPF_MUL | BPF_K, by[1]),
            step(BPF_LDX | BPF_MEM, WORD),
            step(ADD_X, 0),
            step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - bits),
        ]
    };
    let mut steps = hash(BPF_H, sources.prefix, PREFIX_BITS).to_vec();
    steps.extend([step(BPF_ALU | BPF_MUL | BPF_K, 1 << ADDRESS_BITS), step(BPF_ST, QUEUE)]);
    steps.extend(hash(BPF_W, sources.address, ADDRESS_BITS));
    steps.extend([step(A_TO_X, 0), step(BPF_LD | BPF_MEM, QUEUE), step(ADD_X, 0), step(BPF_ST, QUEUE)]);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, net::Ipv6Addr};

    const HASH: PortHash = PortHash { multiplier: 0x9e37_79b1, shift: 24 };
    const SOURCES: [u32; 4] = [0x2545_f491, 0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35];

    fn chosen(port: u16, count: usize) -> usize {
        (u32::from(port).wrapping_mul(HASH.multiplier) >> HASH.shift) as usize % count
    }

    /// The program for IPv6 is interpreted here: a host has one address of it on loopback.
    #[test]
    fn the_program_computes_the_queue_of_every_address_of_ipv6() {
        let sources = SourceHash::new(SOURCES);
        let address = |number: u128| Ipv6Addr::from(bits_of(number)).into();
        let apart = [Source::prefix(address(1)), Source::address(address(7)), Source::address(address(9))];
        let program = of(HASH, 3, Some((&sources, &apart)));
        let mut queues = BTreeSet::new();
        let mut apart_count = 0;
        for number in 0..4096u128 {
            let bits = bits_of(number);
            let mut packet = [0; 60];
            (packet[0], packet[6]) = (0x60, 6);
            packet[8..24].copy_from_slice(&bits.to_be_bytes());
            let port = number as u16 ^ 0x5a5a;
            packet[40..42].copy_from_slice(&port.to_be_bytes());
            let address = Ipv6Addr::from(bits).into();
            let is_apart = apart.iter().any(|source| source.holds(address));
            apart_count += u32::from(is_apart);
            let queue = if is_apart { SET_APART } else { sources.queue_of(address) };
            let expected = chosen(port, 3) * QUEUE_COUNT + queue;
            assert_eq!(interpret(&program, &packet), expected as u32, "{number}");
            queues.insert(queue);
        }
        assert_eq!(queues.len(), QUEUE_COUNT);
        assert!(apart_count >= 3);
        let mut other = [0; 60];
        (other[0], other[6]) = (0x60, 17);
        assert_eq!(interpret(&program, &other), NO_CHOICE);
    }

    fn bits_of(number: u128) -> u128 {
        0x2001_0db8_u128 << 96 | ((number.wrapping_mul(0x9e37_79b9_7f4b) & 0xffff_ffff) << 64) | number
    }

    /// Of the instructions that are used for IPv6.
    fn interpret(program: &[sock_filter], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let bytes = |count: usize| {
                let from = (k - NET) as usize;
                packet[from..from + count].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
            };
            at += 1;
            match u32::from(code) {
                code if code == BPF_LD | BPF_B | BPF_ABS => a = bytes(1),
                code if code == BPF_LD | BPF_H | BPF_ABS => a = bytes(2),
                code if code == BPF_LD | BPF_W | BPF_ABS => a = bytes(4),
                code if code == BPF_LD | BPF_MEM => a = memory[k as usize],
                code if code == BPF_LD | BPF_IMM => a = k,
                code if code == BPF_JMP | BPF_JA => at += k as usize,
                code if code == BPF_LDX | BPF_MEM => x = memory[k as usize],
                code if code == BPF_ALU | BPF_MUL | BPF_K => a = a.wrapping_mul(k),
                code if code == BPF_ALU | BPF_RSH | BPF_K => a >>= k,
                code if code == BPF_ALU | BPF_MOD | BPF_K => a %= k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => at += usize::from(if a == k { jt } else { jf }),
                code if code == BPF_RET | BPF_K => return k,
                BPF_ST => memory[k as usize] = a,
                ADD_X => a = a.wrapping_add(x),
                A_TO_X => x = a,
                RETURN_A => return a,
                other => panic!("{other:#x}"),
            }
        }
    }
}
