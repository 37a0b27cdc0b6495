"""lines - the commands of the administration protocol as the description lists them, for grammar.py."""

COMMANDS = r'''
MainDomainName
ListDomains
CreateDomain a.test
CreateDomain b.test {MailToUnknown=Discarded;}
RenameDomain a.test into c.test
SuspendDomain c.test
ResumeDomain c.test
GetDomainSettings c.test
GetDomainEffectiveSettings c.test
UpdateDomainSettings c.test {MailToUnknown="Rerouted to"; MailRerouteAddress="all@b.test";}
UpdateDomainSettings c.test {MailToUnknown=default;}
SetDomainSettings c.test {MailToUnknown=Rejected;}
SetDomainAliases c.test (d.test, "e.test")
GetDomainAliases c.test
ListAdminDomains
ListAdminDomains c.test
GetDomainInfo c.test
GetAccountDefaults c.test
UpdateAccountDefaults c.test {QuotaNotice=50;}
SetAccountDefaults c.test {MaxAccountSize=10M;}
GetAccountTemplate c.test
UpdateAccountTemplate c.test {RealName=new;}
SetAccountTemplate c.test {}
GetDomainDefaults
UpdateDomainDefaults {AccessToUnknown=Rejected;}
SetDomainDefaults {}
GetServerAccountDefaults
UpdateServerAccountDefaults {QuotaAlert=#70;}
SetServerAccountDefaults {}
GetServerSettings
UpdateServerSettings {HideAccountUnknown=YES;}
UpdateServerSettings {HideAccountUnknown=default;}
GetSettingsTable
CreateAccount x@c.test
CreateAccount y@c.test MultiMailbox {Password="a b"; RealName="Y Z"; MaxAccountSize=5M;}
CreateAccount z
ListAccounts c.test
RenameAccount z into zz@c.test
GetAccountSettings y@c.test
GetAccountEffectiveSettings y@c.test
GetAccountOneSetting y@c.test RealName
UpdateAccountSettings y@c.test {RealName="Another"; Suspended=YES;}
SetAccountSettings y@c.test {RealName="One"; Suspended=NO;}
SetAccountPassword y@c.test PASSWORD "new \"one\""
SetAccountPassword y@c.test PASSWORD gatehouse METHOD plain
VerifyAccountPassword y@c.test PASSWORD gatehouse
VerifyAccountIdentity y@c.test FOR "y@c.test"
VerifyAccountIdentity y@c.test FOR "Y Z <y@c.test>, (both) y+d@c.test"
SetAccountPassword y@c.test PASSWORD "for the phone" TAG phone
SetAccountPassword y@c.test PASSWORD "another for it" TAG phone CHECK
SetAccountPassword y@c.test PASSWORD "new and long" CHECK
SetAccountPassword y@c.test PASSWORD "CHECK"
SetAccountPassword y@c.test PASSWORD "all" ALL
SetAccountPassword y@c.test PASSWORD "new and long" METHOD plain CHECK
ListAccountPasswords y@c.test
SetAccountPassword y@c.test PASSWORD "" TAG phone
SetAccountType y@c.test multimailbox
GetAccountLocation y@c.test
GetDomainLocation c.test
UpdateAccountPrefs y@c.test {Language=english; "A signature"="two\elines"; Nested={a=(b,#5);};}
UpdateAccountPrefs y@c.test {Language=default;}
GetAccountPrefs y@c.test
UpdateAccountDefaultPrefs c.test {Language=german;}
GetAccountDefaultPrefs c.test
GetAccountEffectivePrefs y@c.test
SetAccountPrefs y@c.test {Skin=plain;}
SetAccountDefaultPrefs c.test {}
SetMailboxAliases y@c.test {news="~x/News"; "two words"=Work;}
GetMailboxAliases y@c.test
SetAccountAliases y@c.test (yy, "y.y")
GetAccountAliases y@c.test
GetAccountRights y@c.test
SetAccountRights y@c.test (Domain, CanCreateAccounts)
GetAccountInfo y@c.test
GetAccountInfo y@c.test (AccountName, State)
GetAccountInfo y@c.test Key AccountName
CreateGroup g@c.test {Members=("y@c.test", "else@where.test");}
CreateGroup h@c.test
RenameGroup h@c.test into hh@c.test
GetGroup g@c.test
SetGroup g@c.test {Members=(x, y);}
ListGroups c.test
CreateForwarder f@c.test TO "else@where.test"
RenameForwarder f@c.test into ff@c.test
GetForwarder ff@c.test
FindForwarders c.test TO "else@where.test"
ListForwarders c.test
CreateList news@c.test for y@c.test
RenameList news@c.test into olds@c.test
ListLists c.test
GetDomainLists c.test
GetAccountLists y@c.test
GetList olds@c.test
ListDomainObjects c.test 10
ListDomainObjects c.test FILTER y 10 ACCOUNTS ALIASES FORWARDERS COOKIE a
SetRouterTable "<one> = y@c.test\e; remark"
GetRouterTable
GetRouterSettings
SetRouterSettings {}
SetBlacklistedIPs ("192.0.2.7", "198.51.100.0/24", "2001:db8::1-2001:db8::9", #I[203.0.113.5])
GetBlacklistedIPs
SetBlacklistedIPs ()
Route one
Route one@example.test mail
RouteTrace one access
RouteLogin one LOCAL 127.0.0.1
FindAccountSession u1
FindAccountSession u1 ADDRESS 127.0.0.1
FindAccountSession u1 PROTOCOL pop3 TRANSPORT plain
FindAccountSession u1 ADDRESS 127.0.0.1 PROTOCOL POP3 TRANSPORT plain
GetSession {session}
GetSession {session} DOMAIN example.test
ListSessions y@c.test
ListStat y@c.test
PostServerAlert ALERT "the server"
PostDomainAlert c.test ALERT "the domain"
PostAccountAlert y@c.test ALERT "the \"account\""
GetServerAlerts
GetDomainAlerts c.test
GetAccountAlerts y@c.test
SetAccountAlerts y@c.test ("one", "two")
RemoveAccountAlert y@c.test ALERT one
RemoveDomainAlert c.test ALERT "the domain"
RemoveServerAlert ALERT "the server"
SetServerAlerts ()
SetDomainAlerts c.test (one)
GetStatElement sessions
SetStatElement custom.tickets SET 5
SetStatElement custom.tickets INC 2
GetStatElement custom.tickets
GetNextStatName ""
GetNextStatName sessions
GetAccountStat y@c.test
GetAccountStat y@c.test Key messages
GetAccountStat y@c.test Key recipients
ResetAccountStat y@c.test
GetDomainStat c.test
ResetDomainStat c.test
WriteLog 2 "a line of the operator's"
KillSession {session}
KillSession {session} DOMAIN example.test
FindAccountSession u1
KillAccountSessions u1
NOOP
HELP
HELP RouteTrace
GetVersion
DeleteList olds@c.test
DeleteForwarder ff@c.test
DeleteGroup g@c.test
DeleteGroup hh@c.test
DeleteAccount x@c.test
DeleteAccount y@c.test
DeleteAccount zz@c.test
SetRouterTable ""
DeleteDomain c.test
DeleteDomain b.test
CreateDomain w.test
CreateAccount w@w.test
DeleteDomain w.test FORCE
'''

# Understood, and of no session that is there: settings.py and proxied.py find some by these words.
OF_NO_SESSION = r'''
FindAccountSession u1 FOR 192.0.2.1
FindAccountSession u1 CLIENT "a program"
FindAccountSession u1 ADDRESS 127.0.0.1 FOR 192.0.2.1 PROTOCOL pop3 TRANSPORT plain CLIENT program
GetSession 1-2 DOMAIN example.test
KillSession 1-2 DOMAIN example.test
'''

# What the description lists and this server cannot do: each is refused with a word, whatever comes with it.
NOT_HERE = r'''
CreateDomain s.test SHARED
CreateDomain s.test PATH mount
CreateAccount s PATH mount
CreateAccount s LEGACY
CreateAccount s TextMailbox
CreateAccount s AGrade
SetAccountType u1 TextMailbox
SetRouterSettings {Setting=1;}
SetAccountPassword u1 PASSWORD gatehouse METHOD plain TAG x
SetStatElement messages SET 5
SetBlacklistedIPs ("192.0.2.300")
HELP Nonsense
SetAccountPassword u1 PASSWORD CHECK
SetAccountPassword u1 CHECK
SetAccountPassword u1 PASSWORD all
SetAccountPassword u1 PASSWORD gatehouse TAG ALL
SetAccountPassword u1 PASSWORD gatehouse METHOD CHECK
ListDomainObjects example.test FILTER aliases 5
Nonsense
'''
