//! Addresses: one class whatever the spelling, by the ranges of the registries.

use crate::policy::address::canonical;
use crate::policy::{AddressClass, Reach};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// `[form: 1][address: 16]`: an IPv4 address is judged alike in every IPv6 spelling, and any address as the ranges below say.
pub(crate) fn address(data: &[u8]) {
    let (form, rest) = data.split_first().unwrap_or((&0, &[]));
    let mut bytes = [0; 16];
    let length = rest.len().min(16);
    bytes[..length].copy_from_slice(&rest[..length]);
    let [a, b, c, d, ..] = bytes;
    let v4 = Ipv4Addr::new(a, b, c, d);
    check_v4(v4);
    // Forms of embedding, so that the interesting ranges are near.
    let embedded = embed(v4);
    let v6 = match usize::from(*form).checked_sub(1) {
        Some(form) if form < embedded.len() => embedded[form],
        _ => Ipv6Addr::from(bytes),
    };
    check(v6.into());
    spelled(v6);
}

/// The IPv6 addresses that lead to an IPv4 one: mapped, compatible, NAT64, 6to4.
fn embed(v4: Ipv4Addr) -> [Ipv6Addr; 4] {
    let [a, b, c, d] = v4.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 0),
    ]
}

fn check_v4(v4: Ipv4Addr) {
    check(v4.into());
    let class = AddressClass::of(v4.into());
    for v6 in embed(v4) {
        // `::` and `::1` are addresses of their own, of which only the latter has another class than 0.0.0.1.
        if v6 == Ipv6Addr::LOCALHOST {
            continue;
        }
        assert_eq!(AddressClass::of(v6.into()), class, "{v6} for {v4}");
        for reach in REACHES {
            // What a gateway translates is not this machine, nor this network.
            let here = v6.to_ipv4_mapped().is_some() || class == AddressClass::Public;
            let expected = here && reach.judge(v4.into()).is_ok();
            assert_eq!(reach.judge(v6.into()).is_ok(), expected, "{v6}");
        }
    }
}

const REACHES: [Reach; 3] = [Reach::Loopback, Reach::Private, Reach::Public];

fn check(address: IpAddr) {
    let class = AddressClass::of(address);
    let expected = by_ranges(address);
    assert_eq!(class, expected, "{address}");
    assert_eq!(AddressClass::of(canonical(address)), class, "{address}");
    for reach in REACHES {
        match reach.judge(address) {
            // What is dialled has been judged: it has the class of what was asked about.
            Ok(dialled) => {
                assert_eq!(AddressClass::of(dialled), class, "{address}");
                let allowed = match reach {
                    Reach::Loopback => class == AddressClass::Loopback,
                    Reach::Public => class == AddressClass::Public,
                    Reach::Private => matches!(
                        class,
                        AddressClass::Loopback | AddressClass::Private | AddressClass::Public
                    ),
                };
                assert!(
                    allowed,
                    "{address} is {class} address and reached by {reach:?}"
                );
            }
            Err(prohibited) => assert_eq!(prohibited.class, class),
        }
    }
    // The standard library knows some of it, and must not see danger where we see none.
    if class == AddressClass::Public {
        let special = match canonical(address) {
            IpAddr::V4(v4) => {
                let local = v4.is_private() || v4.is_loopback() || v4.is_link_local();
                let group = v4.is_broadcast() || v4.is_multicast();
                local || group || v4.is_documentation() || v4.is_unspecified()
            }
            IpAddr::V6(v6) => {
                let local = v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local();
                local || v6.is_unspecified() || v6.is_multicast()
            }
        };
        assert!(!special, "{address}");
    }
}

/// However an address is written, `url`, the standard library and the plugin read the same one.
fn spelled(v6: Ipv6Addr) {
    let long = v6.segments().map(|group| format!("{group:04X}")).join(":");
    for text in [v6.to_string(), long] {
        assert_eq!(text.parse(), Ok(v6), "{text}");
        assert_eq!(
            Host::parse(&format!("[{text}]")),
            Ok(Host::Ipv6(v6)),
            "{text}"
        );
        let base = vllm_provider::base_url::BaseUrl::parse(&format!("http://[{text}]:8000/v1"));
        let base = base.expect("an address");
        let here = match canonical(v6.into()) {
            // Written out, for the plugin knows no 6to4 and no NAT64: what it does not know is elsewhere.
            IpAddr::V4(v4) if v6.to_ipv4_mapped().is_some() => {
                v4.is_loopback() || v4.is_unspecified()
            }
            _ => v6.is_loopback() || v6.is_unspecified(),
        };
        assert_eq!(base.is_loopback(), here, "{text}");
    }
}

/// The registries as a list of ranges, the first that holds the address decides. Written apart from the host's patterns, from
/// the IANA registries of special-purpose addresses and the providers' pages.
const V4: &[(&str, u8, AddressClass)] = &[
    ("100.100.100.200", 32, AddressClass::Metadata),
    ("168.63.129.16", 32, AddressClass::Metadata),
    ("192.0.0.192", 32, AddressClass::Metadata),
    ("0.0.0.0", 8, AddressClass::Unspecified),
    ("10.0.0.0", 8, AddressClass::Private),
    ("100.64.0.0", 10, AddressClass::Private),
    ("127.0.0.0", 8, AddressClass::Loopback),
    ("169.254.0.0", 16, AddressClass::LinkLocal),
    ("172.16.0.0", 12, AddressClass::Private),
    ("192.0.0.0", 24, AddressClass::Reserved),
    ("192.0.2.0", 24, AddressClass::Reserved),
    ("192.31.196.0", 24, AddressClass::Reserved),
    ("192.52.193.0", 24, AddressClass::Reserved),
    ("192.88.99.0", 24, AddressClass::Reserved),
    ("192.168.0.0", 16, AddressClass::Private),
    ("192.175.48.0", 24, AddressClass::Reserved),
    ("198.18.0.0", 15, AddressClass::Private),
    ("198.51.100.0", 24, AddressClass::Reserved),
    ("203.0.113.0", 24, AddressClass::Reserved),
    ("224.0.0.0", 4, AddressClass::Multicast),
    ("255.255.255.255", 32, AddressClass::Broadcast),
    ("240.0.0.0", 4, AddressClass::Reserved),
];

const V6: &[(&str, u8, AddressClass)] = &[
    ("::", 128, AddressClass::Unspecified),
    ("::1", 128, AddressClass::Loopback),
    ("fd00:ec2::", 32, AddressClass::Metadata),
    ("fd20:ce::254", 128, AddressClass::Metadata),
    ("fd00:42::42", 128, AddressClass::Metadata),
    ("fd00:a9fe:a9fe::1", 128, AddressClass::Metadata),
    ("fe80::", 10, AddressClass::LinkLocal),
    ("ff00::", 8, AddressClass::Multicast),
];

/// Ranges of IPv6 behind those, and behind the forms that end in an address.
const V6_RANGES: &[(&str, u8, AddressClass)] = &[
    ("fc00::", 7, AddressClass::Private),
    ("fec0::", 10, AddressClass::Private),
    ("2001::", 23, AddressClass::Reserved),
    ("2001:db8::", 32, AddressClass::Reserved),
    ("2620:4f:8000::", 48, AddressClass::Reserved),
    ("3fff::", 20, AddressClass::Reserved),
    ("2000::", 3, AddressClass::Public),
    ("::", 0, AddressClass::Reserved),
];

/// Ranges of IPv6 that hold an IPv4 address, and the bit at which it begins.
const EMBEDDED: &[(&str, u8, u8)] = &[
    ("::ffff:0:0", 96, 96),
    ("64:ff9b::", 96, 96),
    ("::", 96, 96),
    ("2002::", 16, 16),
];

fn by_ranges(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => {
            let found = V4.iter().find(|(range, length, _)| {
                let range: Ipv4Addr = range.parse().expect("a range");
                let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                u32::from(v4) & mask == u32::from(range) & mask
            });
            found.map_or(AddressClass::Public, |(_, _, class)| *class)
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let within = |range: &str, length: u8| {
                let range: Ipv6Addr = range.parse().expect("a range");
                (bits ^ u128::from(range)).leading_zeros() >= u32::from(length)
            };
            let own = |v6: &Ipv6Addr| v6.is_unspecified() || v6.is_loopback();
            for (range, length, at) in EMBEDDED {
                if within(range, *length) && !own(&v6) {
                    let v4 = (bits >> (96 - u32::from(*at))) as u32;
                    return by_ranges(Ipv4Addr::from(v4).into());
                }
            }
            let of = |ranges: &[(&str, u8, AddressClass)]| {
                let mut ranges = ranges.iter();
                let found = ranges.find(|(range, length, _)| within(range, *length));
                found.map(|(_, _, class)| *class)
            };
            if let Some(class) = of(V6) {
                return class;
            }
            // 169.254.169.254 at the end of a unique local address; ISATAP, whose mark stands before the address.
            if within("fc00::", 7) && bits as u32 == 0xa9fe_a9fe {
                return AddressClass::Metadata;
            }
            if matches!((bits >> 32) as u32, 0x5efe | 0x0200_5efe) {
                match by_ranges(Ipv4Addr::from(bits as u32).into()) {
                    AddressClass::Public => {}
                    AddressClass::Loopback | AddressClass::Private => {
                        return AddressClass::Reserved;
                    }
                    never => return never,
                }
            }
            of(V6_RANGES).expect("the last holds everything")
        }
    }
}
