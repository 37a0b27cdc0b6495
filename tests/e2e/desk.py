"""desk - administrators' connections, for the tests that need something set: root on the Unix socket, accounts by PWD."""
from suite import A1, PASSWORD, Line


def admin(s, *commands):
    """As root on the administration socket; each must be done. The data of the last one."""
    with Line(s.admin) as c:
        c.want(None, "200 ")
        c.want("INLINE", "200 ")
        for command in commands:
            answer = c.want(command, "20")
    return answer[4:]


class Pwd(Line):
    """An account that logged in by PWD; data stands in the line of the reply."""

    def __init__(self, s, user, password=PASSWORD):
        super().__init__((A1, s.port(106)))
        self.want(None, "200 ")
        self.want("USER " + user, "300 ")
        self.welcome = self.want("PASS " + password, "200 ")
        self.want("INLINE", "200 ")
