//! Which addresses a granted name may lead to.
//!
//! A grant names a host, a resolver turns it into addresses, and whoever answers for the name decides which. So every
//! address is judged before it is dialled, in canonical form: an IPv4 address that is written inside an IPv6 one
//! (mapped, compatible, NAT64, 6to4, ISATAP) is judged as the IPv4 address it reaches. One that a gateway translates is
//! dialled only where it is public: what is loopback or private there is the gateway's, not this machine's.
//!
//! The tables are IANA's registries of special-purpose addresses as of 2026, and of IPv6 only what IANA has given out as
//! global unicast (2000::/3) is public at all, so that a range which is set aside tomorrow is not reached today.
//!
//! Link-local addresses and the metadata services of cloud providers are never reached, whatever the configuration says:
//! they hand out credentials of the machine to anyone who asks. Private and loopback addresses are reached only when the
//! configured origin is itself private, so that a public name cannot be pointed at the local network later on.

use super::Origin;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// What an address is, by the registries of special-purpose addresses (RFC 6890 and its updates).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// Reachable from anywhere.
    Public,
    /// This machine: 127.0.0.0/8 and ::1.
    Loopback,
    /// A private network: RFC 1918, shared address space (RFC 6598), benchmarking (RFC 2544), unique local (RFC 4193).
    Private,
    /// Valid on one link only: 169.254.0.0/16 and fe80::/10. Most metadata services are there.
    LinkLocal,
    /// A known metadata service of a cloud provider outside the link-local ranges.
    Metadata,
    /// No address at all: 0.0.0.0/8 and ::.
    Unspecified,
    /// A group of hosts.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Set aside for documentation, protocols or the future; no server has one.
    Reserved,
}

impl AddressClass {
    /// Classifies an address by its canonical form.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(v4) => classify_v4(v4),
            IpAddr::V6(v6) => classify_v6(v6),
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public",
            Self::Loopback => "a loopback",
            Self::Private => "a private",
            Self::LinkLocal => "a link-local",
            Self::Metadata => "a cloud metadata",
            Self::Unspecified => "an unspecified",
            Self::Multicast => "a multicast",
            Self::Broadcast => "a broadcast",
            Self::Reserved => "a reserved",
        })
    }
}

/// Which classes of addresses a grant reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// This machine only. The origin is `localhost` (RFC 6761 §6.3) or a loopback address.
    Loopback,
    /// Public, private and loopback addresses. The origin is a private address, a name of a local network, or the
    /// configuration allows it.
    Private,
    /// Public addresses only.
    Public,
}

/// Domains that name hosts of a local network and are not delegated in the public DNS: multicast DNS (RFC 6762), home
/// networks (RFC 8375), private use (ICANN's `internal`), and what routers hand out by custom.
const LOCAL_DOMAINS: [&str; 6] = [
    "local",
    "home.arpa",
    "internal",
    "lan",
    "home",
    "localdomain",
];

impl Reach {
    /// The reach that follows from an origin's host.
    ///
    /// `localhost` and loopback addresses reach this machine. Private addresses, names without a dot (`gpu-box`, a
    /// container's or a service's name) and names under `local`, `home.arpa`, `internal`, `lan`, `home` and `localdomain`
    /// (with them `host.docker.internal`) reach the local network. Everything else reaches public addresses.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        match origin.host() {
            Host::Domain(name) => Self::of_name(name),
            Host::Ipv4(ip) => Self::of_address((*ip).into()),
            Host::Ipv6(ip) => Self::of_address((*ip).into()),
        }
    }

    fn of_address(address: IpAddr) -> Self {
        match AddressClass::of(address) {
            AddressClass::Loopback => Self::Loopback,
            AddressClass::Private => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_name(name: &str) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name);
        let under = |domain: &str| {
            name.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if under("localhost") {
            Self::Loopback
        } else if !name.contains('.') || LOCAL_DOMAINS.into_iter().any(under) {
            Self::Private
        } else {
            Self::Public
        }
    }

    /// Judges a resolved address, and gives back the one to dial: the IPv4 address itself where it came mapped into IPv6.
    ///
    /// # Errors
    ///
    /// [`Prohibited`], with the class that decided and whether a setting would allow it.
    pub fn judge(self, address: IpAddr) -> Result<IpAddr, Prohibited> {
        let class = AddressClass::of(address);
        let allowed = match class {
            AddressClass::Public => self != Self::Loopback,
            _ if is_translated(address) => false,
            AddressClass::Loopback => self != Self::Public,
            AddressClass::Private => self == Self::Private,
            _ => false,
        };
        if allowed {
            // Only the mapped form is the same destination; a translated one is reached through its gateway.
            Ok(address.to_canonical())
        } else {
            Err(Prohibited {
                address,
                class,
                reach: self,
            })
        }
    }
}

/// An address that a grant does not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prohibited {
    /// The address as it was resolved.
    pub address: IpAddr,
    /// What it is in canonical form.
    pub class: AddressClass,
    /// What the grant reaches.
    pub reach: Reach,
}

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} address", self.address, self.class)?;
        match (self.class, self.reach) {
            (class, _) if class != AddressClass::Public && is_translated(self.address) => f.write_str(
                " behind a translation, which is never dialled; check what the host in `baseUrl` resolves to",
            ),
            (AddressClass::Private | AddressClass::Loopback, Reach::Public) => f.write_str(
                ", but the configured host is a public name; if the server is meant to be on this network, set \
                 `request.allowPrivateNetwork` to true for the provider",
            ),
            (AddressClass::Private | AddressClass::Public, Reach::Loopback) => f.write_str(
                ", but the configured host is this machine; if the server is elsewhere, name its own host in `baseUrl`",
            ),
            _ => f.write_str(", which is never dialled; check what the host in `baseUrl` resolves to"),
        }
    }
}

impl std::error::Error for Prohibited {}

/// The IPv4 address that an IPv6 address stands for, where it stands for one; the address itself otherwise.
///
/// Mapped `::ffff:0:0/96` and compatible `::/96` (RFC 4291 §2.5.5), NAT64 `64:ff9b::/96` (RFC 6052), 6to4 `2002::/16`
/// (RFC 3056).
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h).into(),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => v4(g, h).into(),
        [0x2002, ..] => v4(b, c).into(),
        _ => address,
    }
}

/// Whether it is a gateway that reaches the IPv4 address inside this one. A mapped address needs none.
fn is_translated(address: IpAddr) -> bool {
    address.to_canonical() == address && canonical(address) != address
}

fn classify_v4(ip: Ipv4Addr) -> AddressClass {
    match ip.octets() {
        // Alibaba Cloud, Azure's wire server, Oracle Cloud's older address.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => AddressClass::Metadata,
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => AddressClass::Private,
        // Protocol assignments; documentation; AS112 and AMT; relays of 6to4, which RFC 7526 retired.
        [192, 0, 0, _]
        | [192, 0, 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 31, 196, _]
        | [192, 175, 48, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // All of AWS's services of an instance (metadata at ::254, the credentials of a pod at ::23); Google Cloud,
        // Scaleway, Akamai; and 169.254.169.254 in hexadecimal at the end, as Oracle Cloud has it.
        [0xfd00, 0xec2, ..]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42]
        | [0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1]
        | [0xfc00..=0xfdff, .., 0xa9fe, 0xa9fe] => AddressClass::Metadata,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        // ISATAP (RFC 5214): the interface's identifier is an IPv4 address that a tunnel leads to.
        [.., 0 | 0x200, 0x5efe, high, low]
            if classify_v4(v4(high, low)) != AddressClass::Public =>
        {
            match classify_v4(v4(high, low)) {
                AddressClass::Loopback | AddressClass::Private => AddressClass::Reserved,
                never => never,
            }
        }
        // Unique local, and site-local, which RFC 3879 retired.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        // Protocol assignments: Teredo, benchmarking, AMT, ORCHID and more; documentation; AS112.
        [0x2001, 0..=0x01ff, ..]
        | [0x2001, 0xdb8, ..]
        | [0x3fff, 0..=0x0fff, ..]
        | [0x2620, 0x4f, 0x8000, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        // Discard 100::/64, dummy 100:0:0:1::/64, local NAT64 64:ff9b:1::/48, translated ::ffff:0:0:0/96, segment routing
        // 5f00::/16, and what nobody has been given.
        _ => AddressClass::Reserved,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::AddressClass::{
        Broadcast, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Unspecified,
    };
    use super::*;

    const CASES: &[(&str, AddressClass)] = &[
        ("8.8.8.8", Public),
        ("172.15.255.255", Public),
        ("172.32.0.0", Public),
        ("100.63.255.255", Public),
        ("2606:4700::1111", Public),
        ("2001:200::1", Public),
        ("2003::1", Public),
        ("3ffe::1", Public),
        ("2a00:1450::5efe:8.8.8.8", Public),
        ("2a00:1450::5efe:0808:0808", Public),
        ("127.0.0.1", Loopback),
        ("127.255.255.254", Loopback),
        ("::1", Loopback),
        ("10.0.0.1", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.1.20", Private),
        ("100.64.0.1", Private),
        ("100.127.255.255", Private),
        ("198.18.0.1", Private),
        ("fd12:3456::1", Private),
        ("fec0::1", Private),
        ("169.254.0.1", LinkLocal),
        ("169.254.169.254", LinkLocal),
        ("169.254.170.2", LinkLocal),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("100.100.100.200", Metadata),
        ("168.63.129.16", Metadata),
        ("192.0.0.192", Metadata),
        ("fd00:ec2::254", Metadata),
        ("fd20:ce::254", Metadata),
        ("fd00:c1::a9fe:a9fe", Metadata),
        ("fd00:42::42", Metadata),
        ("fd00:ec2::23", Metadata),
        ("fd00:a9fe:a9fe::1", Metadata),
        ("fd12:3456::a9fe:a9fe", Metadata),
        ("fe80::a9fe:a9fe", LinkLocal),
        ("2a00:1450::5efe:169.254.169.254", LinkLocal),
        ("fd00::200:5efe:100.100.100.200", Metadata),
        ("0.0.0.0", Unspecified),
        ("0.1.2.3", Unspecified),
        ("::", Unspecified),
        ("224.0.0.1", Multicast),
        ("ff02::1", Multicast),
        ("255.255.255.255", Broadcast),
        ("240.0.0.1", Reserved),
        ("192.0.2.1", Reserved),
        ("203.0.113.9", Reserved),
        ("192.88.99.1", Reserved),
        ("192.31.196.1", Reserved),
        ("192.52.193.1", Reserved),
        ("192.175.48.1", Reserved),
        ("192.0.0.9", Reserved),
        ("100::1", Reserved),
        ("100:0:0:1::1", Reserved),
        ("2001:2::1", Reserved),
        ("2001:3::1", Reserved),
        ("2001:10::1", Reserved),
        ("2001:20::1", Reserved),
        ("2001:1ff::1", Reserved),
        ("2620:4f:8000::1", Reserved),
        ("5f00::1", Reserved),
        ("4000::1", Reserved),
        ("::ffff:0:8.8.8.8", Reserved),
        ("2a00:1450::5efe:10.0.0.1", Reserved),
        ("fd00::5efe:127.0.0.1", Reserved),
        ("2001:db8::1", Reserved),
        ("3fff::1", Reserved),
        ("2001::1", Reserved),
        ("64:ff9b:1::1", Reserved),
        ("0:1::1", Reserved),
    ];

    #[test]
    fn addresses_are_classified_by_the_registries() {
        for &(address, class) in CASES {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(AddressClass::of(address), class, "{address}");
        }
    }

    #[test]
    fn every_ipv6_spelling_of_an_ipv4_address_is_judged_as_the_ipv4_address() {
        for &(address, class) in CASES {
            let Ok(v4) = address.parse::<Ipv4Addr>() else {
                continue;
            };
            let [a, b, c, d] = v4.octets();
            let high = u16::from_be_bytes([a, b]);
            let low = u16::from_be_bytes([c, d]);
            let spellings = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ];
            for v6 in spellings {
                assert_eq!(AddressClass::of(v6.into()), class, "{v6} for {v4}");
            }
            let compatible = Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low);
            // `::0.0.0.0` is the unspecified address either way.
            assert_eq!(AddressClass::of(compatible.into()), class, "{compatible}");
        }
    }

    #[test]
    fn a_mapped_address_is_dialled_as_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:8.8.8.8".parse().unwrap();
        let dialled = Reach::Public.judge(mapped).unwrap();
        assert_eq!(dialled, "8.8.8.8".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_translated_address_is_dialled_only_where_it_is_public() {
        for (address, dialled) in [
            ("64:ff9b::8.8.8.8", true),
            ("2002:808:808::1", true),
            ("64:ff9b::127.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("2002:7f00:1::1", false),
            ("2002:a00:1::1", false),
            ("::127.0.0.1", false),
            ("::10.0.0.1", false),
            ("64:ff9b::169.254.169.254", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Reach::Private.judge(address).is_ok(), dialled, "{address}");
            let error = Reach::Loopback.judge(address).unwrap_err().to_string();
            assert_eq!(error.contains("behind a translation"), !dialled, "{error}");
        }
    }

    #[test]
    fn the_reach_follows_from_the_configured_host() {
        let cases = [
            ("http://localhost:8000", Reach::Loopback),
            ("http://api.localhost", Reach::Loopback),
            ("http://127.0.0.1:8000", Reach::Loopback),
            ("http://[::1]:8000", Reach::Loopback),
            ("http://[::ffff:127.0.0.1]:8000", Reach::Loopback),
            ("http://10.1.2.3:8000", Reach::Private),
            ("http://100.101.102.103", Reach::Private),
            ("http://[fd00::5]:8000", Reach::Private),
            ("http://gpu-box:8000", Reach::Private),
            ("http://host.docker.internal:8000", Reach::Private),
            ("http://gpu.local.:8000", Reach::Private),
            ("http://gpu.home.arpa", Reach::Private),
            ("http://nas.lan", Reach::Private),
            ("https://api.example.com", Reach::Public),
            ("https://evil-localhost.com", Reach::Public),
            ("https://notlocal", Reach::Private),
            ("https://x.notlocal.dev", Reach::Public),
            ("https://8.8.8.8", Reach::Public),
            ("https://169.254.169.254", Reach::Public),
        ];
        for (url, reach) in cases {
            let origin = Origin::parse(url).unwrap();
            assert_eq!(Reach::of(&origin), reach, "{url}");
        }
    }

    #[test]
    fn a_reach_allows_its_own_classes_and_no_setting_allows_the_rest() {
        for &(address, class) in CASES {
            let address: IpAddr = address.parse().unwrap();
            let allowed = [Reach::Loopback, Reach::Private, Reach::Public]
                .map(|reach| reach.judge(address).is_ok());
            let expected = match class {
                Public => [false, true, true],
                Loopback => [true, true, false],
                Private => [false, true, false],
                _ => [false, false, false],
            };
            assert_eq!(allowed, expected, "{address}");
        }
    }

    #[test]
    fn a_prohibition_says_which_setting_would_allow_it_if_any_would() {
        let private = Reach::Public
            .judge("10.0.0.1".parse().unwrap())
            .unwrap_err();
        assert!(private.to_string().contains("request.allowPrivateNetwork"));
        let metadata = Reach::Private
            .judge("169.254.169.254".parse().unwrap())
            .unwrap_err();
        assert!(metadata.to_string().contains("never dialled"));
    }
}
