//! A router with NAT, as most homes have one: a namespace between an inner and an outer cable, in which the kernel's own tables translate.
//!
//! Addresses and ports are translated as Linux routers do (`masquerade`): a port stays what it is while nobody else has it, and is one and the same
//! towards everybody. From outside comes only what answers something from inside; anything else is dropped without a word.

use anyhow::Result;

use crate::Net;

impl Net {
    /// Makes this namespace a NAT between the device `inside` and the device `outside`.
    ///
    /// # Errors
    /// Without nftables, without root, or where the kernel has no NAT.
    pub fn translate(&self, inside: &str, outside: &str) -> Result<()> {
        self.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        let nat = format!("table ip nat {{ chain out {{ type nat hook postrouting priority 100; oifname \"{outside}\" masquerade; }}; }}");
        // What is dropped leaves no entry behind: one would take the port from the answer that is to come.
        let guard = format!(
            "table ip guard {{ \
             chain here {{ type filter hook input priority 0; policy drop; iifname \"{inside}\" accept; ct state established,related accept; }}; \
             chain through {{ type filter hook forward priority 0; policy drop; iifname \"{inside}\" accept; ct state established,related accept; }}; }}"
        );
        self.run("nft", &[&nat])?;
        self.run("nft", &[&guard])
    }
}
