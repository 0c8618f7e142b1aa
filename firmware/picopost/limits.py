"""Every bound of the appliance, in one place, each with its reason.

Sizes are octets, times are milliseconds, unless the name says otherwise.
"""

import sys

from micropython import const

# A VM of 64 bits is given twice a board's heap, for all but octets takes twice the room in it.
HEAP_SCALE = 1 if sys.maxsize < 1 << 32 else 2

# --- sessions -------------------------------------------------------------------------------
# The W5500 has eight sockets: five sessions, a listener for each of two services, one for UDP
# (DHCP renewal, DNS, time).
WIZNET_SESSIONS = const(5)
# lwIP, by radio and by cable: MicroPython's images have it for five connections (MEMP_NUM_TCP_PCB);
# listeners are apart, and one that waits for the last segments of a closed one gives way to a new
# one. The heap says the same: a session costs about 8 KB, and one for TLS 23 KB more.
LWIP_SESSIONS = const(5)
# One session's buffer for what arrives: a full segment (1,460 octets). Commands are read in it too,
# so it also bounds a command line.
RECEIVE_BUFFER = const(1536)
# One session's block for what goes to or comes from the card: eight sectors, written in one
# multi-block write at an aligned offset.
CARD_BLOCK = const(4096)
# What all sessions share for mail on its way to a socket that keeps as much, between two awaits:
# each call of card, kernel and network moves so much where one session's block moves half of it.
# In MicroPython's images lwIP keeps less, so it is not made. Sixteen sectors, which an aligned
# piece of a file has in one cluster, and one more for what the text grows by on its way.
BULK_BUFFER = const(8704)
# It is made where so much is left beside it: five sessions in the midst of a letter take 13 KB.
BULK_OTHERS = const(16_384)
# RFC 5321 4.5.3.1.4 asks for 512, and more for extensions' parameters: the longest MAIL has a path
# of 256 octets, ENVID of 100 and AUTH of 500 beside short ones, the longest RCPT a path and ORCPT
# of 500. RFC 4954 wants 12,288 for AUTH, which PLAIN and LOGIN do not need. Longer lines are
# drained and answered with 500.
MAX_COMMAND_LINE = const(1024)
# RFC 3461 4.4 and 4.2.
MAX_ENVELOPE_ID = const(100)
MAX_ORIGINAL_RECIPIENT = const(500)
# Paths and ORCPTs kept in one transaction for reports to its sender (RFC 3461): some 60
# recipients; 452 beyond, and the sender goes on with the others in a further transaction.
MAX_NOTICES = const(2048)
# BDAT's count: nine digits, since no chunk of 1 GB can be taken and more would be no small integer.
MAX_CHUNK_DIGITS = const(9)
# A user name in USER and AUTH: an account (32) with our domain behind it, as some programs send it;
# RFC 1939 3 asks for 40.
MAX_USER = const(128)
# RFC 2449 4: 255 octets including CRLF.
MAX_POP3_LINE = const(255)
# One line of a LIST or UIDL: a number of ten digits, a space, a unique-id of 70 octets (RFC
# 1939 7), CRLF. A listing is sent in buffers that have this much room left for each line.
MAX_POP3_LISTING_LINE = const(83)

# Clients that wait for a seat, without a word so far: RFC 5321 4.5.3.2.1 has them wait five minutes
# for a greeting, and devices do wait, while few come again after a 421. So long at most:
SEAT_WAIT = const(15_000)
# Between two looks of the first of them whether a seat is free.
SEAT_LOOK = const(10)
# So many at once. lwIP has room for five connections: a sixth client waits unseen, since no SYN of
# its is answered, and it sends that again. It comes as far as here when another's connection was
# reset and its session is not over yet. Of the W5500's seven sockets for TCP one is left to listen,
# so that one more hears why there is no room.
LWIP_WAITING = const(3)
WIZNET_WAITING = const(1)
# Connections that are being told why they get no session, each for CLOSING at most; one more is
# dropped without a word.
MAX_REFUSALS = const(4)
# Room that a delivery report wants in its mailbox: four card blocks, which 100 recipients need.
MAX_REPORT = const(16_384)

# lwIP's memory for what is written, of MicroPython's images: 8,000 octets for all connections
# (MEM_SIZE). A segment carries 800 of the text (TCP_MSS) and costs 100 more: 8 for the heap, 16 for
# a pbuf, 76 for the heads of TCP, IPv6 and Ethernet.
LWIP_SEGMENT = const(800)
LWIP_HEAD = const(100)
# What is always left of it: a DHCP message (408), SYN and FIN of two clients (100 each).
LWIP_SPARE = const(640)
# What counts as an answer and may take all the rest: REPLY_QUEUE, and what TLS adds.
LWIP_REPLY = const(640)
# Of what is longer so much is given at once, two segments (an acknowledgement comes for each two),
# where room is left for an answer and two morsels beside LWIP_SPARE: so three pieces, 4,800 octets,
# are on their way at once.
LWIP_PIECE = const(1600)
LWIP_PIECE_SPARE = const(2000)
# Where clients that do not read have taken all but that, others' messages go on in morsels.
LWIP_MORSEL = const(210)
# Who has not acknowledged one after that time does not read: lwIP sends it again after 1.5 s, but
# in a local network few are lost. So long one client's turn at it lasts, too.
LWIP_TRIAL = const(1_000)
# The longest question is whether a piece has room: 1,800 + LWIP_PIECE_SPARE, the question's own
# head included.
LWIP_QUESTION = const(3700)
# Between two questions of one who was told that there is no room: lwIP does not call.
LWIP_LOOK = const(10)

# What a W5500 socket has room for: a longer piece would end in a short one.
WIZNET_PIECE = const(2048)

# --- store ----------------------------------------------------------------------------------
# A shared segment takes no more messages from here on: a seek walks at most 8 FAT links of
# 32 KB, and making room by copying what is left of one moves at most this much.
SEGMENT_SIZE = const(256 * 1024)
# Segment numbers of a mailbox: 64 directories of 256 files; a bitmap of them is 2 KB.
MAX_SEGMENTS = const(16384)
# Messages in a mailbox: its deletion marks in a POP3 session are a bitmap of 1,250 octets.
MAX_MESSAGES = const(10000)
# Mailboxes of the appliance, and its accounts: each costs about 700 octets of heap while it is
# open.
MAX_MAILBOXES = const(16)
# A file of accounts, read line by line: a line is up to 170 octets; on a card there may be one for
# each account that comes and for each that goes, and comments.
MAX_ACCOUNTS_FILE = const(8192)
# Of an account, PBKDF2: every login costs as many as the account that has most. With a thousand a
# login hashes for half a second on an RP2040.
MAX_ITERATIONS = const(1000)
# Default for the SIZE extension (RFC 1870); settings.json may say otherwise.
MAX_MESSAGE_SIZE = const(50 * 1024 * 1024)
# Our own From_, Return-Path and Received lines: a path of 256 twice (RFC 5321 4.5.3.1.3), one
# forward path, a HELO name and the fixed words.
MAX_TRACE = const(1280)
# Received fields of a message that is taken in. RFC 5321 6.3: a threshold of at least 100, beyond
# which a message travels in a circle.
MAX_RECEIVED = const(100)

# --- turns ----------------------------------------------------------------------------------
# A session that never has to wait lets others run after this long. A card block of 4 KB is 6 ms of
# an RP2040, and what was begun is finished: six others at it are 50 ms.
TURN = const(2)

# --- waiting --------------------------------------------------------------------------------
# RFC 5321 4.5.3.2.7 asks the server to wait 5 minutes for a command.
SMTP_IDLE = const(300_000)
# Between two pieces of a message's data.
SMTP_DATA_IDLE = const(180_000)
# A message may take this long and a second for each 256 octets: devices' modems are slow, but
# one that drips only holds a session.
SMTP_DATA_GRACE = const(120_000)
TEXT_RATE_BITS = const(8)
# A session that has not sent a letter, or begun one, for this long is closed: NOOPs keep no seat.
SMTP_UNPRODUCTIVE = const(900_000)
# RFC 1939 3: an autologout timer of at least 10 minutes.
POP3_IDLE = const(600_000)
# A session that says nothing but NOOP for so long, or does not log in, is closed: a mail program
# that is left open would keep one of five seats, and nobody else could read the mailbox.
POP3_UNPRODUCTIVE = const(900_000)
# A login waits this often and so long for a mailbox that another has: for who comes back before the
# end of its last session was seen, and for old mail that is being thrown away. Then [IN-USE].
MAILBOX_TRIES = const(10)
MAILBOX_RETRY = const(100)
# Before login nothing asks for patience.
POP3_LOGIN_IDLE = const(60_000)
# For one piece of a reply or a message to be taken by the client.
WRITE_IDLE = const(120_000)
# To say good-bye in, and to see the other end close.
CLOSING = const(3_000)
# Failed commands, then the session is closed (Postfix: smtpd_hard_error_limit 20).
MAX_ERRORS = const(20)
# Commands that move no mail between two letters; each one more is an error (Postfix:
# smtpd_junk_command_limit 100).
MAX_JUNK = const(100)
# Recipients that were told 452; each one more is an error (Postfix: 1000).
RECIPIENT_OVERSHOOT = const(1000)
# Errors without a penalty: devices probe with a few commands that nobody knows. From there on
# the reply to each error waits longer by a step, which costs a client that goes on to
# MAX_ERRORS 5 s, and holds up nobody else.
FREE_ERRORS = const(5)
ERROR_DELAY = const(50)
# Failed logins of one connection.
MAX_LOGIN_FAILURES = const(3)
# From the second failed login of an address to an account on, over all connections, an answer
# waits; twice as long each time. Forgotten after a quarter of an hour without one.
LOGIN_DELAY = const(500)
MAX_LOGIN_DELAY = const(8_000)
FAILURES_KEPT = const(900_000)
# Pairs of address and account whose failures are counted: an address that tries all 16 accounts,
# and names that are none, does not push its own out; the oldest goes first.
MAX_FAILING = const(32)
# Sessions of one address at once, by default: one seat is left for others (`sessions_per_address`).
SESSIONS_PER_ADDRESS = const(4)
# How long who must wait for the greeting is listened to (Postfix: postscreen_greet_wait 2 to 6 s).
GREET_WAIT = const(2_000)
# RFC 5321 4.5.3.1.1 to 4.5.3.1.3: what a receiver must take, and no more, since paths are kept
# for the time of a transaction. The path's 256 count its angle brackets.
MAX_LOCAL_PART = const(64)
MAX_DOMAIN = const(255)
MAX_PATH = const(256)
# RFC 1870 4: size-value has 1 to 20 digits.
MAX_SIZE_DIGITS = const(20)
# RFC 5321 4.5.3.1.8 asks for 100. Several may name one mailbox, which costs nothing.
MAX_RECIPIENTS = const(100)
# Each mailbox gets its own copy while the message comes in, so each is an open file and a block.
# Fewer than 4.5.3.1.8 asks for; the sender sends to the others in a further transaction.
MAX_MAILBOXES_PER_MESSAGE = const(8)
# How often deadlines are looked at: none is finer than a few seconds.
REAPER_PERIOD = const(500)
# Replies held back while a client's pipelined commands still wait in the receive buffer.
REPLY_QUEUE = const(512)
# One login's key derivation, which waits for those of all other seats: five of 1,000 iterations in
# slices of 16 (8 ms), each with 50 ms in between for everybody else, take 18 s.
LOGIN_TIME = const(30_000)
# One step of a long card operation.
CARD_TIME = const(10_000)
# Of one MAIL or RCPT command: all that are registered for one fit. A line of MAX_COMMAND_LINE
# could hold 500, which would take longer to parse than the loop may be held up.
MAX_PARAMETERS = const(8)
# Of a message's header, quoted in a delivery report: enough for From, To, Subject, Date and
# Message-ID behind a Received or two; kept from the first block to the end of the message.
REPORT_HEAD = const(1024)
# Of one value in a delivery report. RFC 3461 4.2 gives ORCPT 500 octets, the longest there is;
# with its name it stays below RFC 5321's 1000 octets a line.
REPORT_VALUE = const(512)
# --- room on the card -----------------------------------------------------------------------
# What is left free: FAT's own blocks, index growth, and mail that is on its way already.
MIN_FREE = const(1024 * 1024)
# Between two looks for a card while there is none.
CARD_RETRY = const(2_000)
# Between two looks whether the card is still there: one block is read.
CARD_CHECK = const(1_000)
# --- passports ------------------------------------------------------------------------------
# Devices that are known: a house or a small site has fewer. 4 KB on the card, read in 8 blocks.
MAX_PASSPORTS = const(32)
# Of one address: a computer has some programs. Without it one whose name is another each time, as a
# container's, would soon have all of them.
PASSPORTS_PER_ADDRESS = const(8)
# What sessions leave until it is entered, 98 octets each for good: five sessions end in the same
# second, and some more while one of them is at work.
MAX_VISITS = const(8)
# Seconds of service between two looks at what there is to enter: two blocks written a device then,
# however many letters it has sent. Sooner only when there is room for no more.
PASSPORTS_PERIOD = const(300)
# So many seconds sessions that are at work go first; so many where there is room for no more.
PASSPORTS_PATIENCE = const(60)
PASSPORTS_HURRY = const(3)
# Letters within so many seconds are one visit.
BURST = const(60)
# A device that writes regularly is silent after so many of its intervals, and not sooner than that:
# an hour is what restarts and updates of a device take.
SILENCE_INTERVALS = const(3)
SILENCE_LEAST = const(3600)
# --- the W5500 link -------------------------------------------------------------------------
# From close() to the socket's return to listening: one of seven, so a peer that does not
# close its side must not hold it for long.
LINGER = const(2_000)
# Between two sockets that are looked at whatever the chip reports; a round of eight takes 0.8 s,
# the longest that a state which raised no interrupt can last.
PATROL = const(100)
# Reset to the first right VERSIONR; the PLL needs 1 ms (datasheet 5.5.1), slow supplies more.
CHIP_WAIT = const(500)
# Until the PHY has agreed with the other end: auto-negotiation takes 2 to 4 s.
CABLE_WAIT = const(10_000)
# RFC 2131 4.1: the first message is sent again after 4 s, then after 8 and 16; here with these
# four the search for a server takes a minute at most.
DHCP_RETRY = const(4_000)
DHCP_ATTEMPTS = const(4)
# RFC 2131 4.4.5: between two requests for an extension not less than 60 s.
DHCP_RENEWAL_RETRY = const(60_000)
# Between two looks at the times of a lease, each about 2 ms.
DHCP_TIMES = const(10_000)
# Between two searches while there is an address to live with: each has the socket for 4 s, in which
# nobody answers to our name and nobody asks for the time.
DHCP_PAUSE = const(12_000)
# Without an address, then the one for that case is taken: a search has been made twice.
DHCP_FALLBACK = const(10_000)
# Seconds; longer leases are renewed as if they ended here, since adafruit_ticks counts no
# further than 2**28 ms, 3.1 days (routers give up to ten).
DHCP_MAX_LEASE = const(172_800)
# --- our name, by mDNS -----------------------------------------------------------------------
# Of a message, what is longer is cut: a question for one name has some 40 octets, and one for what
# a phone looks for at once 300.
MDNS_MESSAGE = const(512)
# Of its questions, and of its answers: 50 us each and 5 ms at most.
MDNS_RECORDS = const(24)
# RFC 6762 6: between two answers to all.
MDNS_PAUSE = const(1_000)
# For the hardware address of one that asked a moment ago.
MDNS_ARP = const(300)
# --- lwIP's links ----------------------------------------------------------------------------
# lwIP asks for a lease at once, then after 2, 4 and 8 s, the fourth time at 14 s; after so long it
# is told to begin again, before its pauses grow to a minute.
LWIP_DHCP_WAIT = const(30_000)
# Without a cable, then it may lead into another network: nobody changes it faster.
SAME_NETWORK = const(5_000)
# For an access point to let us in, and between two tries to bring the link up.
JOIN_TIME = const(15_000)
LINK_RETRY = const(1_000)
# Shared segments that one sweep looks at: what 10,000 letters of 4 KB fill, and their gaps.
SWEEP_SEGMENTS = const(192)
# Dead records that an index keeps before it is written anew: a step of its growth.
INDEX_SLACK = const(128)
# --- heap -----------------------------------------------------------------------------------
# Allocated between two collections while sessions run: 2 ms each, and what is made for a small
# letter is 15 KB. The more garbage lies about, the more the heap is cut to pieces by what stays.
GARBAGE = HEAP_SCALE * 16_384
# --- TLS ------------------------------------------------------------------------------------
# One is ready from the start: 23 KB of a board's heap, 16,717 octets for a record that comes, 4,429
# for one that goes, and 2 KB more. A second one is made where the heap has room for it.
TLS_SESSIONS = const(2)
# What that has to leave to others: five sessions in the midst of a letter take 13 KB.
TLS_OTHERS = const(16_384)
# For who comes when there is no room: sessions are short, and clients wait longer than this.
TLS_WAIT = const(8_000)
# For the first octet of a handshake where TLS begins at once, and for all of one: a small device
# computes for 5 to 10 s.
TLS_HELLO = const(10_000)
TLS_HANDSHAKE = const(20_000)
# A session in TLS that idles longer than this is ended when others wait for its room; sooner where
# it has neither logged in nor sent a letter, or strangers could keep the room from everybody.
TLS_IDLE = const(60_000)
TLS_STRANGER_IDLE = const(6_000)
# Free beside that while a handshake computes: 3.6 KB of large numbers at its peak (P-256), each
# in a piece of its own, and what others take meanwhile.
TLS_HANDSHAKE_ROOM = const(6144)
# A P-256 key takes 121 octets, a certificate with several names 500.
TLS_FILE = const(4096)
# --- the start, and who watches ---------------------------------------------------------------
# The longest that an RP2040's watchdog can wait is 8,388; the longest that the loop stands still is
# a TLS handshake's step, 400.
WATCHDOG_TIME = const(8_000)
WATCHDOG_FEED = const(1_000)
# So long a start must have served to be counted as a good one: past the first letters, and far from
# what makes a board restart at once.
PROVEN_AFTER = const(60_000)
# The LED's flash, the dark between two, and the pause behind them: to be counted by an eye.
LED_FLASH = const(200)
LED_PAUSE = const(1_200)
# --- the console ------------------------------------------------------------------------------
# A line that is typed: the longest command has an account's name (32) and three more words.
CONSOLE_LINE = const(80)
# The last events, kept for `log`: nearly twenty lines, which is a screen and what led to a fault.
LOG_KEPT = const(1792)
# For room for an event's line: USB takes 64 octets a ms from who reads. Who did not is not waited
# for again, and finds what was said in `log`.
LOG_WAIT = const(20)
# A command whose answer nobody reads ends after so long: the port is open, and its program stands.
CONSOLE_WAIT = const(30_000)
# Blocks that `status card` reads: 32 KB, in which eight pieces show a speed.
CONSOLE_BLOCKS = const(64)
# Letters that `mail NAME` lists, the newest: a screen.
CONSOLE_PAGE = const(20)
# A letter that is read there: four sectors at a time. What is attached to it goes out in lines of
# 1,024 characters.
CONSOLE_BUFFER = const(2048)
CONSOLE_PIECE = const(768)
# A letter is read where so much is free: 14 KB that it takes, code and all, and 13 KB that five
# sessions want in the midst of theirs.
CONSOLE_ROOM = const(28_672)
# Octets of a board's heap that have to be free before passports are shown: what that takes, 4 KB,
# and as much for those who serve meanwhile.
PASSPORTS_ROOM = const(8_192)
# --- the clock --------------------------------------------------------------------------------
# Of an answer by UDP, what is longer is cut: DNS's have up to 512 octets (RFC 1035 4.2.1), SNTP's
# 48 and perhaps a key's 20.
MAX_DATAGRAM = const(512)
# A server in the same network answers within a few milliseconds.
TIME_WAIT = const(2_000)
# RFC 4330 10: no more often than every 15 s where none answers. Then a watch crystal's drift, 2 s
# a day, in between.
TIME_RETRY = const(60_000)
TIME_AGAIN = const(21_600_000)
# --- notices ----------------------------------------------------------------------------------
# Rules: each has up to three servers, whose bits for one letter make a small integer.
NOTICE_RULES = const(8)
# Of a rule's words to look for, user, password; of an URL or a topic.
NOTICE_WORD = const(64)
NOTICE_PLACE = const(200)
# Letters whose notices are not out yet, each some 100 octets of heap: a burst, or what comes while
# a server restarts.
NOTICE_QUEUE = const(16)
# From a letter's 250 to the first look at it, and between two looks whether a server may be tried
# again.
NOTICE_PAUSE = const(500)
# Of a letter so much is read for its notice: what a list shows stands in the first part, a
# camera's picture is smaller. It takes an RP2040 a second or two, in steps of a few ms between
# others' turns.
NOTICE_LOOK = const(262_144)
NOTICE_BUFFER = const(1024)
# Attachments that a notice names, each with a NOTICE_WORD; and characters of sender, subject and
# first line. In UTF-8 all together 5 KB at most, in letters that somebody reads some 300 octets.
NOTICE_NAMES = const(5)
NOTICE_TEXT = const(200)
# What the heap has to have beside all else before a letter is read for it: its modules and what
# they make take less, and sessions go before.
NOTICE_HEAP = const(24_576)
# For a server's name; for its answer to a SYN; then for all that is said. So long one of five
# connections is not there for a client, which sends its own SYN again for longer.
NOTICE_DNS = const(2_000)
NOTICE_CONNECT = const(3_000)
NOTICE_TIME = const(5_000)
# To hear a server out that has said already whether it takes a notice.
NOTICE_REST = const(1_000)
# For a connection that is free, while clients have all of them.
CONNECT_ROOM = const(10_000)
# The W5500's listeners that an outgoing connection leaves: one for each service's first port.
CONNECT_LISTENERS = const(2)
# A server that failed is tried again after so long, each time after twice as long, and no later
# than the second; a letter's notice is given up after the third, longer than a reboot takes.
NOTICE_RETRY = const(5_000)
NOTICE_MAX_RETRY = const(300_000)
NOTICE_KEPT = const(900_000)
# --- MIME -----------------------------------------------------------------------------------
# Of a header field's value: a filename or an encoded Subject takes some 1,000 octets, a To with 40
# addresses 1,500. What is more is passed over.
MIME_VALUE = const(1536)
# What a line's beginning must show: that it is a delimiter, or a field's name up to its colon.
MIME_LOOK = const(256)
# The least buffer: a line's beginning, the line end before it, and as much again to move on in.
MIME_BUFFER = const(512)
# RFC 2046 5.1.1 allows 70; some programs make longer ones. A multipart with more is read as text.
MIME_BOUNDARY = const(100)
# Parts that hold parts and are open at once; what is deeper is read as one piece. Each takes 28
# octets and its boundary: 3 KB when all are the longest.
MIME_NESTING = const(24)
# Parts of one message, the rest is passed over: ten times what any mail program makes.
MIME_PARTS = const(10_000)
# Base64 is turned into octets so much at a time: binascii allocates 3/4 of it.
MIME_QUANTA = const(1024)
# Of a date: the longest that RFC 5322 3.3 makes has 44 octets, a zone's name in a comment 40 more.
MIME_DATE = const(128)
# Addresses of one field, as many as MIME_VALUE has room for when they are short.
MIME_ADDRESSES = const(64)
# Characters of HTML that are worked on at once: each find in them, and each index where they are
# not all ASCII, takes as long as they are many.
HTML_BLOCK = const(512)
# Of a message's text that a list shows, and of a filename: a line of a screen and more.
MIME_TEXT = const(200)
# Octets of a part in which its first line is looked for: office programs' HTML begins with up to
# 50 KB of styles, and each octet of it costs an RP2040 some 10 us.
MIME_TEXT_LOOK = const(65_536)
# Attachments that a list names, each some 200 octets of heap: mail programs show no more either.
MIME_ATTACHMENTS = const(16)
