"""Perl's Mail::IMAPClient (Debian: libmail-imapclient-perl)."""
import json

import fixture

PROGRAM = r"""
use strict; use warnings; use Mail::IMAPClient; use IO::Socket::SSL; use JSON::PP; use Digest::MD5 qw(md5_hex);
my ($port, $user, $password, $how, $ca, $append) = @ARGV;
my @tls = (SSL_ca_file => $ca, SSL_verify_mode => SSL_VERIFY_PEER, SSL_hostname => 'localhost');
my %more = $how eq 'tls' ? (Ssl => [@tls]) : $how eq 'starttls' ? (Starttls => [@tls]) : ();
my $c = Mail::IMAPClient->new(Server => 'localhost', Port => $port, User => $user, Password => $password,
    Uid => 1, Peek => 1, %more) or die "connect: $@ " . (Mail::IMAPClient->can('LastError') ? '' : '');
my %out;
$c->select('INBOX') or die $c->LastError;
my @all = $c->messages; $out{uids} = [map { $_ + 0 } @all];
$out{md5} = [map { md5_hex($c->message_string($_)) } @all];
$out{size} = [map { $c->size($_) + 0 } @all];
$out{date} = [map { $c->internaldate($_) } @all];
my $flags = $c->flags(\@all); $out{flags} = [map { [sort @{$flags->{$_}}] } @all];
$out{unseen} = [map { $_ + 0 } ($c->unseen)];
$out{seen_count} = scalar($c->seen);
$out{search} = [map { $_ + 0 } ($c->search('SUBJECT', \"minimal"))];
$out{subject} = [map { $c->subject($_) } @all[0 .. 4]];
my $env = $c->get_envelope($all[0]); $out{envelope} = $env ? $env->subject : undef;
my $bs = $c->get_bodystructure($all[0]); $out{type} = $bs ? $bs->bodytype . '/' . $bs->bodysubtype : undef;
$c->create('Perl') or die $c->LastError;
$out{copied} = $c->copy('Perl', @all[0 .. 4]);
$c->append_file('Perl', $append) or die $c->LastError;
$c->append_string('Perl', "Subject: by string\r\n\r\ntext\r\n", '\\Answered', '28-Feb-2021 12:34:56 +0100') or die $c->LastError;
$c->set_flag('Flagged', @all[5 .. 9]); $c->unset_flag('\\Seen', @all[0 .. 9]);
$c->move('Perl', $all[10]) or die $c->LastError;
$c->delete_message(@all[11 .. 13]); $c->expunge;
$out{folders} = [sort $c->folders];
$out{exists} = $c->message_count('INBOX') + 0;
my $q = $c->uidnext('INBOX'); $out{uidnext} = $q + 0;
$c->close; $c->logout;
print JSON::PP->new->canonical->encode(\%out);
"""


def perl_imapclient(fx, how):
    import hashlib
    messages = fx.messages(2000 if fx.opt.full else 60, outside=fx.opt.full)
    box = fx.fill(fx.account(), messages)
    before = list(fx.state(box.account, bodies=False))
    home = fx.home()
    fixture.private(home + "/p.pl", PROGRAM)
    appended = b"Subject: by file\r\n\r\nline\r\n.\r\nend\r\n"
    with open(home + "/append", "wb") as f:
        f.write(appended)
    done = fixture.run(["perl", home + "/p.pl", str(fx.port(how)), box.account, fixture.PASSWORD, how, fx.ca,
                        home + "/append"], home)
    got = json.loads(done.stdout)
    m = box.messages
    uids = got["uids"]
    fx.equal(uids, before, "unique ids of all messages")
    fx.equal(got["md5"], [hashlib.md5(x.data).hexdigest() for x in m], "bodies")
    fx.equal(got["size"], [len(x.data) for x in m], "sizes")
    fx.equal([fixture.date_value(d) for d in got["date"]], [x.when for x in m], "dates")
    fx.equal([sorted(set(f) - {"\\Recent"}) for f in got["flags"]], [sorted(x.flags) for x in m], "flags")
    fx.equal(got["unseen"], [u for u, x in zip(uids, m) if "\\Seen" not in x.flags], "unseen")
    fx.equal(got["search"], [uids[0]], "search")
    fx.equal((got["envelope"], got["type"].upper()), ("minimal", "TEXT/PLAIN"), "envelope and structure")
    fx.equal(got["folders"], ["INBOX", "Perl"], "folders")
    there = list(fx.state(box.account, "Perl").values())
    fx.same_list([x.data for x in there], [x.data for x in m[:5]] + [appended, b"Subject: by string\r\n\r\ntext\r\n",
                                                                     m[10].data], "copied, appended, moved")
    fx.equal((there[6].flags, there[6].when), (frozenset({"\\Answered"}), 1614512096), "flag and date of what was appended")
    left = {}
    for i, x in enumerate(m):
        if not 10 <= i <= 13:
            flags = x.flags - {"\\Seen"} if i < 10 else x.flags
            left[uids[i]] = x._replace(flags=flags | {"\\Flagged"} if 5 <= i <= 9 else flags)
    fx.equal(fx.state(box.account), left, "what is left: bytes, flags, dates, unique ids")


CLIENTS = [(perl_imapclient, ("plain", "starttls", "tls"))]
